"""A TCP proxy between a client and a real server that does to connections what bad networks do."""

import asyncio
import socket
import threading
from collections.abc import Coroutine
from types import TracebackType
from typing import Any, Self, TypeVar

from support.processes import DEADLINE
from support.tcp_connection import Connection, Drop, Link
from support.tcp_ports import LOOPBACK, free_port

Value = TypeVar("Value")


class TcpProxy:
    """Listens on `port` of the loopback interface and forwards each connection to `target`, another port there.

    It lives in a thread of its own; any thread may call it, and a call has taken effect when it returns. At most the 64 KiB
    that were being passed on at that moment, in each direction of a connection, still arrive. Use it as a context manager.
    """

    def __init__(self, target: int) -> None:
        self.target = target
        self.port = free_port()
        self._loop = asyncio.SelectorEventLoop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="tcp-proxy", daemon=True)
        self._link = Link()
        self._black_hole = False
        self._connections: dict[asyncio.Task[None], Connection] = {}
        self._drop: Drop | None = None
        self._listener: socket.socket | None = None
        self._accepted = 0

    @property
    def accepted(self) -> int:
        """How many connections it has taken up so far, those that have ended included."""
        return self._accepted

    @property
    def connected(self) -> int:
        """How many connections it has at the moment, dead ones included."""
        return len(self._connections)

    def reset(self) -> None:
        """RST to both ends of every connection, dead ones too. New connections are served as the mode says."""
        self._call(self._reset())

    def refuse(self) -> None:
        """New connections are refused, as on a host where nobody listens. The present ones go on."""
        self._call(self._refuse())

    def stall(self) -> None:
        """Connections stay and new ones are taken, but nothing gets through. All of it arrives after `resume`."""
        self._call(self._stall())

    def black_hole(self) -> None:
        """As `stall`, but what is connected at any time until `resume` stays dead for ever: no data, no end, no reset."""
        self._call(self._stall(for_ever=True))

    def delay(self, seconds: float) -> None:
        """What comes in from now on gets through that much later, in each direction and in its order. 0 ends it."""
        self._call(self._delay(seconds))

    def drop_replies(self, after: bytes = b"", *, count: int = 1) -> threading.Event:
        """Cut the next `count` connections whose client sends something with `after` in it: RST instead of the reply.

        The server has carried out all that was forwarded to it before the client sees the reset. Returns an event that is
        set when the last of them is cut; from then on everything is forwarded again.
        """
        drop = Drop(after, count)
        self._call(self._arm(drop))
        return drop.done

    def resume(self) -> None:
        """End what `refuse`, `stall`, `black_hole`, `delay` and `drop_replies` began."""
        self._call(self._resume())

    def __enter__(self) -> Self:
        self._thread.start()
        try:
            self._call(self._resume())
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        try:
            self._call(self._refuse())
            self._call(self._reset())
        finally:
            self._end()

    def _call(self, work: Coroutine[Any, Any, Value]) -> Value:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(DEADLINE)

    def _end(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(DEADLINE)
        self._loop.close()

    async def _listen(self) -> None:
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.setblocking(False)
        listener.bind((LOOPBACK, self.port))
        listener.listen(512)
        self._listener = listener
        self._loop.add_reader(listener, self._accept)

    def _accept(self) -> None:
        """Take up all connections that the kernel has ready, so that a change of mode knows them all."""
        while self._listener is not None:
            try:
                client, _ = self._listener.accept()
            except BlockingIOError:
                return
            connection = Connection(client, self._link)
            task = self._loop.create_task(connection.run((LOOPBACK, self.target)))
            self._connections[task] = connection
            self._accepted += 1
            task.add_done_callback(self._close)

    def _close(self, task: asyncio.Task[None]) -> None:
        self._connections.pop(task).close()

    async def _reset(self) -> None:
        self._accept()
        for task in self._connections:
            task.cancel()
        if self._connections:
            await asyncio.wait(self._connections)

    async def _refuse(self) -> None:
        self._accept()
        if self._listener is not None:
            self._loop.remove_reader(self._listener)
            self._listener.close()
            self._listener = None

    async def _stall(self, *, for_ever: bool = False) -> None:
        self._accept()
        self._link.gate.clear()
        self._black_hole |= for_ever

    async def _delay(self, seconds: float) -> None:
        self._link.delay = seconds

    async def _arm(self, drop: Drop) -> None:
        self._disarm()
        self._drop = self._link.drop = drop

    def _disarm(self) -> None:
        self._link.drop = None
        if self._drop is not None:
            self._drop.over = True

    async def _resume(self) -> None:
        self._accept()
        self._disarm()
        self._link.delay = 0
        if self._black_hole:
            self._link.gate = asyncio.Event()  # those who wait for the old one wait for ever
            self._black_hole = False
        self._link.gate.set()
        if self._listener is None:
            await self._listen()
