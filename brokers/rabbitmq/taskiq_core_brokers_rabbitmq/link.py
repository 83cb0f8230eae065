"""One connection to RabbitMQ, below aiormq's frames.

aiormq opens it: SASL, virtual host, limits. From then on this file speaks: frames go straight from the socket's callback to
their channel, and what is written goes out as it is. See ADR 0043.
"""

import asyncio
import os
from heapq import heappop, heappush
from typing import Any, cast

from pamqp import commands, frame

from taskiq_core_brokers_rabbitmq import frames
from taskiq_core_brokers_rabbitmq.channel import Channel
from taskiq_core_brokers_rabbitmq.errors import RabbitError, blocked, lost

_INHERITED: list["Link"] = []
"""Links of the process that we were forked from; kept, because to close one would make that process deaf to its own."""


class Link(asyncio.Protocol):
    """Channels on one connection. When it breaks they all fail, and it stays broken.

    :param heartbeat: seconds without a sign of life after which the connection is given up; a sign is asked for at half of it.
    """

    def __init__(
        self,
        writer: asyncio.StreamWriter,
        place: str,
        *,
        frame_max: int,
        channel_max: int,
        heartbeat: float,
        version: tuple[int, ...],
    ) -> None:
        self.place = place
        self.frame_max = frame_max
        self.version = version
        self.declared: set[str] = set()
        """Names of what this connection has seen to."""
        self.blocked = ""
        """Why the server takes no publications now, if so."""
        self._writer = writer  # which would close the transport, were it collected
        self._transport = cast("asyncio.Transport", writer.transport)
        self._heartbeat = heartbeat
        self._channels: dict[int, Channel] = {}
        self._channel_max = channel_max
        self._most = 0  # the highest number that a channel ever had
        self._free: list[int] = []
        self._rest = b""
        self._loop = asyncio.get_running_loop()
        self._pid = os.getpid()
        self._heard = self._loop.time()
        self.broken: RabbitError | None = None
        self._transport.set_protocol(self)
        self._beating = self._loop.call_later(heartbeat / 2, self._beat)

    @property
    def usable(self) -> bool:
        """False once it is broken, in a forked child, and in another event loop than its own."""
        return self.broken is None and self._pid == os.getpid() and self._loop is asyncio.get_running_loop()

    async def channel(self, patience: float) -> Channel:
        """A new channel.

        :raises RabbitError: if the connection broke, or has as many channels as the server allows.
        """
        channel = self.reserve()
        await channel.call(commands.Channel.Open(), patience=patience)
        return channel

    def reserve(self) -> Channel:
        """A channel whose opening is the caller's first question on it; raises as `channel`."""
        if self.broken is not None:
            raise self.broken
        if self._free:
            number = heappop(self._free)
        elif self._most < self._channel_max:
            number = self._most = self._most + 1
        else:
            raise RabbitError(
                reason=f"RabbitMQ at {self.place} allows {self._channel_max} channels on a connection and all are in use: "
                "raise channel_max in rabbitmq.conf.",
                passing=True,
            )
        channel = self._channels[number] = Channel(self, number)
        return channel

    def write(self, data: bytes) -> None:
        """Out with it."""
        if self.broken is None:
            self._transport.write(data)

    def drop(self, number: int) -> None:
        """Both sides have closed a channel: its number is free."""
        if self._channels.pop(number, None) is not None:
            heappush(self._free, number)

    def abort(self, why: str) -> None:
        """Give the connection up."""
        self._break(lost(self.place, why, certain=False))

    def close(self) -> None:
        """Say goodbye, as far as that takes no time, and close."""
        if self._pid != os.getpid():
            _INHERITED.append(self)
            return
        if self.broken is None:
            closing = commands.Connection.Close(reply_code=200, reply_text="", class_id=0, method_id=0)
            self._transport.write(frame.marshal(closing, 0))
            self._fail(lost(self.place, "the connection is closed", certain=True))
            self._transport.close()

    def _break(self, error: RabbitError) -> None:
        if self._pid != os.getpid():
            _INHERITED.append(self)
        elif self.broken is None:
            self._fail(error)
            self._transport.abort()

    def _fail(self, error: RabbitError) -> None:
        self.broken = error
        self._beating.cancel()
        channels, self._channels = self._channels, {}
        for channel in channels.values():
            channel.fail(error)

    def _beat(self) -> None:
        if self._loop.time() - self._heard > self._heartbeat:
            self.abort(f"no sign of life for {self._heartbeat:g} s")
            return
        self.write(frames.BEAT)
        self._beating = self._loop.call_later(self._heartbeat / 4, self._beat)

    # -- asyncio.Protocol ---------------------------------------------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        self._heard = self._loop.time()
        if self._rest:
            data = self._rest + data
        at, end = 0, len(data)
        while end - at >= 8:
            kind, number, size = frames.LEADER.unpack_from(data, at)
            stop = at + 7 + size
            if stop >= end:
                break
            channel = self._channels.get(number)
            if channel is not None:
                if kind == frames.METHOD:
                    channel.take_method(data[at + 7 : stop])
                elif kind == frames.HEADER:
                    channel.take_header(data[at + 7 : stop])
                elif kind == frames.BODY:
                    channel.take_body(data[at + 7 : stop])
            elif number == 0 and kind == frames.METHOD:
                self._of_connection(data[at : stop + 1])
            at = stop + 1
        self._rest = data[at:]

    def _of_connection(self, data: bytes) -> None:
        _, _, found = frame.unmarshal(data)
        if isinstance(found, commands.Connection.Close):
            self._transport.write(frame.marshal(commands.Connection.CloseOk(), 0))
            self._break(lost(self.place, f"it closed the connection: {found.reply_text}", certain=False))
        elif isinstance(found, commands.Connection.Blocked):
            self.blocked = str(found.reason)
            for channel in list(self._channels.values()):
                channel.on_blocked(blocked(self.place, self.blocked, certain=False))
        elif isinstance(found, commands.Connection.Unblocked):
            self.blocked = ""

    def connection_lost(self, exc: Exception | None) -> None:
        self._break(lost(self.place, exc or "the connection was closed", certain=False))

    def eof_received(self) -> None:
        return None

    def pause_writing(self) -> None: ...

    def resume_writing(self) -> None: ...


def version_of(properties: Any) -> tuple[int, ...]:
    """The version of a server, from what it says of itself; empty if it does not."""
    said: Any = properties["version"] if properties and "version" in properties else ""
    numbers = str(said).split("-", 1)[0].split("+", 1)[0].split(".")
    return tuple(int(part) for part in numbers if part.isdigit())
