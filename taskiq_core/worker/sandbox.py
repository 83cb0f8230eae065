"""Processes of their own for tasks: killable, and alone."""

import struct
import sys
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import anyio
import anyio.abc
from anyio.streams.buffered import BufferedByteReceiveStream

_LENGTH = struct.Struct("!I")


class SandboxDiedError(Exception):
    """The process ended while it ran the task."""

    def __init__(self, status: int | None) -> None:
        self.status = status
        super().__init__(self.how)

    @property
    def how(self) -> str:
        """For people: exit status or signal."""
        if self.status is None:
            return "it closed its pipe"
        return f"killed by signal {-self.status}" if self.status < 0 else f"exit status {self.status}"


@dataclass(slots=True, eq=False)
class _Sandbox:
    process: anyio.abc.Process
    replies: BufferedByteReceiveStream

    async def ask(self, request: bytes, timeout: float | None) -> bytes:
        assert self.process.stdin is not None
        try:
            await self.process.stdin.send(_LENGTH.pack(len(request)) + request)
            # First an empty frame, when the task has been imported: that time is not the task's.
            first = await self._frame()
            if first:
                return first
            with anyio.fail_after(timeout):
                return await self._frame()
        except (anyio.BrokenResourceError, anyio.ClosedResourceError, anyio.EndOfStream, anyio.IncompleteRead) as error:
            with anyio.move_on_after(2):
                await self.process.wait()
            raise SandboxDiedError(self.process.returncode) from error

    async def _frame(self) -> bytes:
        (length,) = _LENGTH.unpack(await self.replies.receive_exactly(_LENGTH.size))
        return await self.replies.receive_exactly(length) if length else b""

    async def end(self) -> None:
        with anyio.CancelScope(shield=True):
            if self.process.returncode is None:
                self.process.kill()
            with anyio.move_on_after(2):
                await self.process.aclose()


class SandboxPool:
    """At most `limit` processes, started when needed and used again; one request at a time each.

    Enter it in the task that leaves it. Whatever interrupts a request (a timeout, a cancellation) kills its process.
    """

    def __init__(self, limit: int) -> None:
        self._limiter = anyio.CapacityLimiter(limit)
        self._idle: list[_Sandbox] = []

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        while self._idle:
            await self._idle.pop().end()

    async def ask(self, request: bytes, timeout: float | None = None) -> bytes:
        """Send a request to a process and return its reply; `timeout` is in seconds and starts when its task is imported.

        :raises SandboxDiedError: if the process ended instead.
        :raises TimeoutError: if it took too long; the process has been killed.
        """
        async with self._limiter:
            sandbox = self._idle.pop() if self._idle else await self._start()
            try:
                reply = await sandbox.ask(request, timeout)
            except BaseException:
                await sandbox.end()
                raise
            self._idle.append(sandbox)
            return reply

    async def _start(self) -> _Sandbox:
        command = [sys.executable, "-m", "taskiq_core.worker.sandbox_child"]
        process = await anyio.open_process(command, stderr=None)
        assert process.stdout is not None
        return _Sandbox(process, BufferedByteReceiveStream(process.stdout))
