"""One connection to Redis, below redis-py's command layer.

redis-py opens it: TLS, Unix sockets, authentication, RESP3. From then on this file speaks: hiredis packs and parses, answers go
straight from the socket's callback into futures, and any number of commands may be in flight. A command costs about 6 us of
client CPU so, where redis-py's own way takes 60 to 120.
"""

import asyncio
import contextlib
import os
from collections import deque
from collections.abc import Callable
from typing import Any, Protocol, cast

import hiredis

from taskiq_core_brokers_redis.errors import RedisError, explain, lost
from taskiq_core_brokers_redis.packing import Argument, pack

Push = Callable[[list[Any]], None]
"""Takes a message that the server sent by itself, such as an invalidation."""

_NOT_YET = object()
_SLOWEST = 1_000_000
"""Bytes per second that any network carries: a long command has longer until its answer is due."""
_INHERITED: list["Link"] = []
"""Links of the process that we were forked from; kept, because to close one would make that process deaf to its own."""


class OpenConnection(Protocol):
    """What is needed of an open redis-py connection."""

    async def disconnect(self, nowait: bool = False) -> None: ...


class Link(asyncio.Protocol):
    """Commands out, answers back in the same order. When it breaks, everything in flight fails and it stays broken.

    :param patience: seconds without any sign of life while an answer is due, after which the connection is given up.
    """

    def __init__(self, connection: OpenConnection, place: str, patience: float, on_push: Push | None = None) -> None:
        self.place = place
        self._connection = connection
        self.patience = patience
        self._on_push = on_push
        self._reader = hiredis.Reader(notEnoughData=_NOT_YET)
        self._due: deque[tuple[asyncio.Future[Any], float]] = deque()
        self._loop = asyncio.get_running_loop()
        self._pid = os.getpid()
        self._heard = 0.0
        self._watching = False
        self._broken: RedisError | None = None
        self.on_broken: Callable[[], None] | None = None
        # redis-py has no public way to the transport of its streams; every test that connects would show its loss.
        self._transport = cast("asyncio.Transport", cast("Any", connection)._writer.transport)
        self._transport.set_protocol(self)

    @property
    def usable(self) -> bool:
        """False once it is broken, in a forked child, and in another event loop than its own."""
        return self._broken is None and self._loop is asyncio.get_running_loop() and self._pid == os.getpid()

    def send(self, packed: bytes, *, blocking: float = 0.0) -> asyncio.Future[Any]:
        """Write a packed command; the future gets its answer, or a `RedisError`. Cancelling the future only drops the answer.

        `blocking` is how many seconds the server may take by the command's own wish.

        :raises RedisError: if the link is broken; nothing was written then.
        """
        if self._broken is not None:
            raise lost(self.place, "the connection is closed", certain=True)
        future: asyncio.Future[Any] = self._loop.create_future()
        blocking += len(packed) / _SLOWEST
        self._due.append((future, self._loop.time() + blocking))
        self._transport.write(packed)
        if not self._watching:
            self._watching = True
            self._loop.call_later(self.patience + blocking, self._watch)
        return future

    async def call(self, *parts: Argument) -> Any:
        """Send one command and wait for its answer."""
        return await self.send(pack(parts))

    def close(self, error: RedisError | None = None) -> None:
        """Break it. What is in flight fails with `error`."""
        if self._broken is None:
            self._broken = error or lost(self.place, "the connection was closed", certain=False)
            self._transport.abort()
            while self._due:
                _fail(self._due.popleft()[0], self._broken)
            if self.on_broken is not None:
                self.on_broken()

    async def aclose(self) -> None:
        """`close`, and let redis-py forget the connection."""
        if self._pid != os.getpid():
            _INHERITED.append(self)
            return
        with contextlib.suppress(RuntimeError):  # of a loop that is closed; the socket then closes with the last reference
            self.close()
            await self._connection.disconnect(nowait=True)

    def _watch(self) -> None:
        self._watching = False
        if self._broken is not None or not self._due:
            return
        left = max(self._heard, self._due[0][1]) + self.patience - self._loop.time()
        if left <= 0:
            self.close(lost(self.place, f"no answer for {self.patience:g} s", certain=False))
            return
        self._watching = True
        self._loop.call_later(left, self._watch)

    # -- asyncio.Protocol -----------------------------------------------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        self._heard = self._loop.time()
        reader, due = self._reader, self._due
        try:
            reader.feed(data)
            while (reply := reader.gets()) is not _NOT_YET:
                if isinstance(reply, hiredis.PushNotification):
                    if self._on_push is not None:
                        self._on_push(reply)
                    continue
                future, _ = due.popleft()
                if future.done():
                    continue
                if isinstance(reply, hiredis.ReplyError):
                    future.set_exception(explain(str(reply), self.place))
                else:
                    future.set_result(reply)
        except (hiredis.ProtocolError, IndexError) as error:
            self.close(lost(self.place, f"it does not speak like Redis ({error})", certain=False))

    def connection_lost(self, exc: Exception | None) -> None:
        self.close(lost(self.place, exc or "the server closed the connection", certain=False))


def _fail(future: asyncio.Future[Any], error: RedisError) -> None:
    if not future.done():
        future.set_exception(error)
        future.exception()  # whoever no longer waits for it shall not be told of it by the garbage collector
