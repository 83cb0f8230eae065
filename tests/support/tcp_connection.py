"""One connection through the TCP proxy: two streams of bytes that may be late, held or cut."""

import asyncio
import socket
import struct
import threading
from contextlib import suppress
from dataclasses import dataclass, field

CHUNK = 64 * 1024
KEPT = 64
"""Chunks that are read in advance; what comes then waits in the kernel."""


@dataclass
class Drop:
    """The order to cut `left` connections after a request with `after` in it was forwarded."""

    after: bytes
    left: int
    over: bool = False
    done: threading.Event = field(default_factory=threading.Event)
    _pending: int = field(init=False)

    def __post_init__(self) -> None:
        self._pending = self.left

    def one_ended(self) -> None:
        self._pending -= 1
        if self._pending == 0:
            self.done.set()


@dataclass
class Link:
    """What all connections of a proxy go by. A connection keeps the gate that it has found for its whole life."""

    gate: asyncio.Event = field(default_factory=asyncio.Event)
    delay: float = 0
    drop: Drop | None = None


class _CutError(Exception):
    """The reply to a marked request has come."""


class Connection:
    """Owns the two sockets. `close` must be called when `run` is over, however that was."""

    def __init__(self, client: socket.socket, link: Link) -> None:
        self._client = client
        self._server = socket.socket()
        self._link = link
        self._gate = link.gate
        self._drop: Drop | None = None
        self._tail = b""
        self._ended_well = False
        for end in (self._client, self._server):
            end.setblocking(False)
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    async def run(self, target: tuple[str, int]) -> None:
        """Connect to `target` and forward until both sides have ended or one was reset."""
        try:
            await self._gate.wait()
            await asyncio.get_running_loop().sock_connect(self._server, target)
            async with asyncio.TaskGroup() as group:
                requests, replies = _Stream(KEPT), _Stream(KEPT)
                group.create_task(self._read(self._client, requests))
                group.create_task(self._read(self._server, replies))
                group.create_task(self._write(requests, self._server))
                group.create_task(self._write(replies, self._client))
            self._ended_well = True
        except* OSError:
            pass
        except* _CutError:
            await self._let_the_server_finish()

    def close(self) -> None:
        """Close both sockets, by a reset unless both sides had ended."""
        for end in (self._client, self._server):
            if not self._ended_well:
                end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            end.close()
        if self._drop is not None:
            self._drop.one_ended()

    async def _read(self, source: socket.socket, stream: "_Stream") -> None:
        loop = asyncio.get_running_loop()
        item: bytes | OSError = b"-"
        while item and not isinstance(item, OSError):
            try:
                item = await loop.sock_recv(source, CHUNK)
            except OSError as error:
                item = error
            await stream.put((loop.time() + self._link.delay, item))

    async def _write(self, stream: "_Stream", target: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            due, item = await stream.get()
            await asyncio.sleep(due - loop.time())
            await self._gate.wait()
            if isinstance(item, OSError):
                raise item
            if not item:
                target.shutdown(socket.SHUT_WR)
                return
            if target is self._client and self._drop is not None and not self._drop.over:
                raise _CutError
            await loop.sock_sendall(target, item)
            if target is self._server:
                self._mark(item)

    def _mark(self, request: bytes) -> None:
        """After it was forwarded, so that a reply to an earlier request does not cut it in the middle."""
        drop = self._link.drop
        if drop is None or self._drop is not None:
            return
        request = self._tail + request
        self._tail = request[max(0, len(request) - len(drop.after) + 1) :]
        if drop.after in request:
            self._drop = drop
            drop.left -= 1
            if drop.left == 0:
                self._link.drop = None

    async def _let_the_server_finish(self) -> None:
        """A reset would make its kernel throw away what it has not read yet; an end after the data does not."""
        with suppress(OSError):
            self._server.shutdown(socket.SHUT_WR)
            while await asyncio.get_running_loop().sock_recv(self._server, CHUNK):
                pass


_Stream = asyncio.Queue[tuple[float, bytes | OSError]]
