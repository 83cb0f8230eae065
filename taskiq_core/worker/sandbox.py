"""Processes of their own for tasks: killable, and alone."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import anyio
import anyio.abc
from anyio.streams.buffered import BufferedByteReceiveStream

from taskiq_core.acks import AcknowledgeType
from taskiq_core.error import TaskiqError
from taskiq_core.worker.sandbox_pipe import LENGTH, more_time, pack_frame
from taskiq_core.worker.sandbox_request import SandboxSetup

_START = 60.0
"""Seconds for a process to start, import the task and start its broker."""
_LOOK = 1.0
"""Seconds between two looks whether a silent process still lives."""
_END = 2.0
"""Seconds for the system to take a process away."""


class NoSandboxError(TaskiqError):
    """No process could take the task; it was not called, and this says nothing against it."""

    __template__ = "No process could be got to run the task: {reason}"
    reason: str


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
    lifeline: int | None
    unsent: bytes
    """What it has to be told before its first request."""

    async def prepare(self, request: bytes) -> None:
        """Have it import the task.

        :raises NoSandboxError: if it cannot, or not in time.
        :raises SandboxDiedError: if it is dead.
        """
        assert self.process.stdin is not None
        data, self.unsent = self.unsent + pack_frame(request), b""
        try:
            with anyio.fail_after(_START):
                try:
                    await self.process.stdin.send(data)
                except (anyio.BrokenResourceError, anyio.ClosedResourceError) as error:
                    raise await self._death() from error
                refusal = await self._frame()
        except TimeoutError as error:
            raise NoSandboxError(reason=f"importing it took longer than {_START:g} s") from error
        if refusal:
            raise NoSandboxError(reason=refusal.decode(errors="replace"))

    async def reply(self, timeout: float | None) -> bytes:
        """What has come of the task.

        :raises SandboxDiedError: if the process ended instead.
        :raises TimeoutError: after `timeout` seconds, or as many more as the task has asked for.
        """
        with anyio.fail_after(timeout) as scope:
            while (seconds := more_time(frame := await self._frame())) is not None:
                scope.deadline = max(scope.deadline, anyio.current_time() + seconds)
            return frame

    async def _frame(self) -> bytes:
        try:
            (length,) = LENGTH.unpack(await self._receive(LENGTH.size))
            return await self._receive(length) if length else b""
        except (anyio.BrokenResourceError, anyio.ClosedResourceError, anyio.EndOfStream, anyio.IncompleteRead) as error:
            raise await self._death() from error

    async def _receive(self, size: int) -> bytes:
        # Death closes the pipe; but what the process has left behind may hold it open.
        while True:
            dead = self.process.returncode is not None
            with anyio.move_on_after(_LOOK):
                return await self.replies.receive_exactly(size)
            if dead:
                raise anyio.EndOfStream

    async def _death(self) -> SandboxDiedError:
        if self.process.returncode is None:
            with anyio.move_on_after(_END):
                await self.process.wait()
        self._kill()
        return SandboxDiedError(self.process.returncode)

    def _kill(self) -> None:
        # With what it has started, which shares its group.
        with suppress(ProcessLookupError, PermissionError):
            if sys.platform == "win32":
                self.process.kill()
            else:
                os.killpg(self.process.pid, signal.SIGKILL)

    async def end(self) -> None:
        with anyio.CancelScope(shield=True), anyio.move_on_after(_END):
            if self.process.returncode is None:
                self._kill()
            await self.process.aclose()
        _close(self.lifeline)
        self.lifeline = None


class SandboxPool:
    """At most `limit` processes, started when needed and used again; one request at a time each.

    Whatever interrupts a request (a timeout, a cancellation) kills its process, and with it what that has started. They run
    the event loop that the worker runs; `ack_type` is the worker's own.
    """

    def __init__(self, limit: int, ack_type: AcknowledgeType = AcknowledgeType.WHEN_SAVED) -> None:
        self._limiter = anyio.CapacityLimiter(limit)
        self._ack_type = ack_type
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

        :raises NoSandboxError: if no process could be started, or none could import the task.
        :raises SandboxDiedError: if the process ended instead.
        :raises TimeoutError: if it took too long; the process has been killed.
        """
        async with self._limiter:
            sandbox = await self._prepared(request)
            async with _ended_by_errors(sandbox):
                reply = await sandbox.reply(timeout)
            self._idle.append(sandbox)
            return reply

    async def _prepared(self, request: bytes) -> _Sandbox:
        while self._idle:
            sandbox = self._idle.pop()
            # One that has been used may die, or have died, of what ran in it before.
            with suppress(SandboxDiedError):
                async with _ended_by_errors(sandbox):
                    if sandbox.process.returncode is not None:
                        raise SandboxDiedError(sandbox.process.returncode)
                    await sandbox.prepare(request)
                return sandbox
        sandbox = await self._start()
        try:
            async with _ended_by_errors(sandbox):
                await sandbox.prepare(request)
        except SandboxDiedError as died:
            raise NoSandboxError(reason=f"the process ended before the task was imported: {died.how}") from died
        return sandbox

    async def _start(self) -> _Sandbox:
        theirs, ours = _lifeline()
        screen = _screen()
        command = [sys.executable, "-m", "taskiq_core.worker.sandbox_child", str(screen)]
        try:
            inherited = (screen,) if theirs is None else (screen, theirs)
            process = await anyio.open_process(command, stderr=None, start_new_session=True, pass_fds=inherited)
        except BaseException as error:
            _close(ours)
            if isinstance(error, OSError):
                raise NoSandboxError(reason=f"it could not be started: {error}") from error
            raise
        finally:
            _close(theirs)
            _close(screen)
        assert process.stdout is not None
        setup = SandboxSetup(_current_loop(), list(sys.path), self._ack_type.value, theirs)
        return _Sandbox(process, BufferedByteReceiveStream(process.stdout), ours, pack_frame(setup.dump()))


def _lifeline() -> tuple[int, int] | tuple[None, None]:
    # Only for kernels that can make a signal of its end.
    try:
        return os.pipe() if sys.platform == "linux" else (None, None)
    except OSError as error:
        raise NoSandboxError(reason=f"it could not be started: {error}") from error


def _screen() -> int:
    # A descriptor of its own for what tasks print, as the process's stdout is taken by frames.
    try:
        return os.dup(1)
    except OSError:  # the worker has none
        return os.open(os.devnull, os.O_WRONLY)


def _close(descriptor: int | None) -> None:
    if descriptor is not None:
        os.close(descriptor)


@asynccontextmanager
async def _ended_by_errors(sandbox: _Sandbox) -> AsyncGenerator[None]:
    try:
        yield
    except BaseException:
        await sandbox.end()
        raise


def _current_loop() -> str:
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        return "trio"
    return "uvloop" if type(loop).__module__.partition(".")[0] == "uvloop" else "asyncio"
