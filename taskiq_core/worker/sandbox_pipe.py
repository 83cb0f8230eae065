"""Frames between a worker and a sandbox process, and the process's end of them."""

import os
import signal
import struct
import sys
import threading
from typing import NoReturn

if sys.platform == "linux":
    import fcntl

LENGTH = struct.Struct("!I")
"""Stands before each frame."""


def pack_frame(body: bytes) -> bytes:
    """A frame as it crosses the pipe."""
    return LENGTH.pack(len(body)) + body


_MORE_TIME = struct.Struct("!cd")
_PLEASE = b"+"
"""Begins no outcome: those are lists."""


def pack_more_time(seconds: float) -> bytes:
    """What a process sends before its outcome to have its time end that many seconds from now."""
    return _MORE_TIME.pack(_PLEASE, seconds)


def more_time(body: bytes) -> float | None:
    """The seconds that are asked for; None if the frame's body is something else."""
    if len(body) != _MORE_TIME.size or not body.startswith(_PLEASE):
        return None
    seconds: float = _MORE_TIME.unpack(body)[1]
    return seconds


class WorkerPipe:
    """Takes over stdin and stdout for frames: what tasks print goes to `screen`, and what they read is empty.

    Processes that the tasks fork do not hold it, so that its end is the process's end.
    """

    def __init__(self, screen: int) -> None:
        self._requests, self._replies = os.dup(0), os.dup(1)
        nothing = os.open(os.devnull, os.O_RDONLY)
        os.dup2(nothing, 0)
        os.close(nothing)
        os.dup2(screen, 1)
        os.close(screen)
        self._writing = threading.Lock()
        if sys.platform != "win32":
            os.register_at_fork(after_in_child=self._let_go)

    def _let_go(self) -> None:
        for descriptor in (self._requests, self._replies):
            os.close(descriptor)

    def read(self) -> bytes | None:
        """Wait for the next request; None at the end of the worker."""
        head = self._read(LENGTH.size)
        return None if head is None else self._read(LENGTH.unpack(head)[0])

    def _read(self, size: int) -> bytes | None:
        data = bytearray()
        while len(data) < size:
            chunk = os.read(self._requests, min(size - len(data), 1 << 20))
            if not chunk:
                return None
            data += chunk
        return bytes(data)

    def write(self, body: bytes = b"") -> None:
        """Send a frame; ends the process if nobody is there to read it."""
        rest = memoryview(pack_frame(body))
        try:
            with self._writing:
                while rest:
                    rest = rest[os.write(self._replies, rest) :]
        except BrokenPipeError:
            leave()


def leave() -> NoReturn:
    """End this process at once, with everything that its tasks have started in its group."""
    if sys.platform != "win32" and os.getpgrp() == os.getpid():
        os.killpg(os.getpgrp(), signal.SIGKILL)
    os._exit(0)


def end_with(lifeline: int) -> None:
    """Have the kernel kill this process and its group when the other end of the pipe `lifeline` closes.

    Also while a task holds the interpreter's lock, when no thread of ours could notice.
    """
    os.set_inheritable(lifeline, False)
    if sys.platform == "linux" and os.getpgrp() == os.getpid():
        fcntl.fcntl(lifeline, fcntl.F_SETOWN, -os.getpgrp())
        fcntl.fcntl(lifeline, fcntl.F_SETSIG, signal.SIGKILL)
        fcntl.fcntl(lifeline, fcntl.F_SETFL, fcntl.fcntl(lifeline, fcntl.F_GETFL) | os.O_ASYNC)
