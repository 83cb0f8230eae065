"""One channel of a connection: questions and their answers in order, and what the server sends by itself."""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any, Protocol

from pamqp import commands, frame

from taskiq_core_brokers_rabbitmq import frames
from taskiq_core_brokers_rabbitmq.errors import BlockedError, ChannelClosedError, RabbitError, blocked, lost
from taskiq_core_brokers_rabbitmq.frames import Incoming


class Wire(Protocol):
    """What a channel needs of its connection."""

    place: str
    frame_max: int
    blocked: str

    def write(self, data: bytes) -> None: ...
    def drop(self, number: int) -> None: ...
    def abort(self, why: str) -> None: ...


class Channel:
    """Made by `Link.channel`. Once closed, by whomever, it stays closed: everything in flight and later fails."""

    def __init__(self, wire: Wire, number: int) -> None:
        self.wire = wire
        self.number = number
        self.closed: RabbitError | None = None
        self.on_delivery: Callable[[Incoming], None] = _ignore
        self.on_return: Callable[[Incoming], None] = _ignore
        self.on_confirm: Callable[[int, bool, bool], None] = _ignore
        """Gets a number, whether it means all up to it too, and whether they are accepted."""
        self.on_closed: Callable[[RabbitError], None] = _ignore
        self.on_blocked: Callable[[BlockedError], None] = _ignore
        self._answers: deque[asyncio.Future[Any]] = deque()
        self._message: Incoming | None = None
        self._missing = 0
        self._pieces: list[bytes] = []

    def ask(self, *questions: Any, after: bytes = b"") -> list[asyncio.Future[Any]]:
        """Write methods of AMQP, behind `after`, in one go; a future for the answer to each that has one.

        :raises RabbitError: if the channel is closed; nothing was written then.
        """
        if self.closed is not None:
            raise self.closed
        before = len(self._answers)
        data = after + b"".join(self.prepare(question) for question in questions)
        self.wire.write(data)
        return list(self._answers)[before:]

    def prepare(self, question: Any) -> bytes:
        """A method, to be written by the caller at once; its answer, if it has one, is nobody's."""
        if question.synchronous and not getattr(question, "nowait", False):
            self._expect()
        return frame.marshal(question, self.number)

    def prepare_question(self, question: Any) -> tuple[bytes, asyncio.Future[Any]]:
        """The same for a method whose answer matters."""
        return frame.marshal(question, self.number), self._expect()

    def _expect(self) -> asyncio.Future[Any]:
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        future.add_done_callback(_seen)
        self._answers.append(future)
        return future

    async def call(self, *questions: Any, patience: float, after: bytes = b"") -> list[Any]:
        """`ask`, and wait for the answers. Who gets none within `patience` seconds gives the connection up, unless
        the server has said that it is blocked: that passes.

        Cancelling leaves the answers to nobody.

        :raises ChannelClosedError: if the server refused one of them; those before it were carried out.
        :raises RabbitError: if the connection broke.
        """
        futures = self.ask(*questions, after=after)
        try:
            async with asyncio.timeout(patience):
                return [await future for future in futures]
        except TimeoutError:
            if self.wire.blocked:
                raise blocked(self.wire.place, self.wire.blocked, certain=False) from None
            self.wire.abort(f"no answer for {patience:g} s")
            raise lost(self.wire.place, f"no answer for {patience:g} s", certain=False) from None
        finally:
            for future in futures:
                future.cancel()

    async def finish(self, data: bytes, *, patience: float) -> None:
        """Write frames, wait until the server has handled them, and close; raises as `call`."""
        # It handles what a channel sends in order, so one answer stands for all.
        try:
            await self.call(commands.Basic.Qos(prefetch_count=1), after=data, patience=patience)
        finally:
            self.close()

    def close(self, why: RabbitError | None = None) -> None:
        """Close it for good; returns at once. What waits for an answer fails, with `why`."""
        if self.closed is None:
            closing = commands.Channel.Close(reply_code=200, reply_text="", class_id=0, method_id=0)
            self.wire.write(frame.marshal(closing, self.number))
            self.fail(why or lost(self.wire.place, "the channel is closed", certain=True))

    def fail(self, error: RabbitError) -> None:
        """Everything in flight and later fails with `error`."""
        if self.closed is not None:
            return
        self.closed = error
        answers, self._answers = self._answers, deque()
        for future in answers:
            if not future.done():
                future.set_exception(error)
        self.on_closed(error)

    # -- what comes from the server -----------------------------------------------------------------------------------------

    def take_method(self, payload: bytes) -> None:
        """A method frame of this channel."""
        kind, method = frames.IDS.unpack_from(payload)
        if kind == frames.BASIC:
            if method in {frames.DELIVER, frames.RETURN, frames.GET_OK}:
                self._message = frames.incoming(method, payload)
                return
            if method in {frames.ACK, frames.NACK}:
                number, bits = frames.TAG.unpack_from(payload, 4)
                self.on_confirm(number, bool(bits & 1), method == frames.ACK)
                return
        whole = frames.LEADER.pack(frames.METHOD, self.number, len(payload)) + payload + frames.END
        _, _, found = frame.unmarshal(whole)
        if isinstance(found, commands.Channel.Close):
            self.wire.write(frame.marshal(commands.Channel.CloseOk(), self.number))
            if self.closed is not None:
                return  # ours has crossed it and is answered too; until then the number is not free
            self.wire.drop(self.number)
            self.fail(ChannelClosedError(reason=str(found.reply_text), code=found.reply_code or 0))
        elif isinstance(found, commands.Channel.CloseOk):
            self.wire.drop(self.number)
        elif isinstance(found, commands.Basic.Cancel):
            self.close(RabbitError(reason="RabbitMQ cancelled a consumer: its queue was deleted or moved", passing=True))
        else:
            self._answer(found)

    def take_header(self, payload: bytes) -> None:
        """The header of a message."""
        if self._message is not None:
            self._missing, self._message.properties = frames.content(payload)
            if not self._missing:
                self._complete(self._message)

    def take_body(self, payload: bytes) -> None:
        """A piece of a body."""
        if self._message is not None:
            self._pieces.append(payload)
            self._missing -= len(payload)
            if self._missing <= 0:
                self._message.body = self._pieces[0] if len(self._pieces) == 1 else b"".join(self._pieces)
                self._pieces = []
                self._complete(self._message)

    def _complete(self, message: Incoming) -> None:
        self._message = None
        if message.method == frames.DELIVER:
            self.on_delivery(message)
        elif message.method == frames.RETURN:
            self.on_return(message)
        else:
            self._answer(message)

    def _answer(self, found: Any) -> None:
        if self._answers:
            future = self._answers.popleft()
            if not future.done():
                future.set_result(found)


def _seen(future: asyncio.Future[Any]) -> None:
    if not future.cancelled():
        future.exception()  # told to whoever waits; nobody else misses it


def _ignore(*_: Any) -> None:
    return
