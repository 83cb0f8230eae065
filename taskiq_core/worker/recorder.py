"""A flight recorder: who was on the CPU when the process died.

A small memory-mapped file that the worker writes as it goes (well below a microsecond per task, no system call) and that
survives it. From it the replacement learns whose leases to take back and which tasks to run alone: only those that were
executing at that moment, in the event loop or in a thread. Tasks that merely waited are bystanders.

Layout: 128 bytes of header (magic, length of the consumer name, the name), then 128 bytes a slot: in-loop flag, in-thread
flag, length of the task id, the id.
"""

import logging
import mmap
import os
import sys
import weakref
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from taskiq_core.abc.subscription import Subscription

if sys.platform != "win32":
    import fcntl

logger = logging.getLogger("taskiq.worker")

_MAGIC = b"tqrec1"
_RECORD = 128
_HEADER = 3
_MAX_ID = _RECORD - _HEADER


@dataclass(frozen=True, slots=True)
class Recording:
    """What a dead worker left."""

    consumer: str
    accused: tuple[str, ...]


class Recorder:
    """Written by one worker; `path` None keeps the record in memory, where nobody will read it."""

    def __init__(self, path: Path | None, slots: int) -> None:
        size = _RECORD * (slots + 1)
        self._fd: int | None = None
        if path is None:
            self._map = mmap.mmap(-1, size)
            return
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        _lock(self._fd)  # held while we live: how others tell a dead worker's file
        os.ftruncate(self._fd, size)
        self._map = mmap.mmap(self._fd, size)
        _recorders.add(self)

    def forget(self) -> None:
        """In a process forked from the worker: it neither writes the record nor holds the lock."""
        size = len(self._map)
        self._map.close()
        self._map = mmap.mmap(-1, size)
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    def name(self, consumer: str) -> None:
        """Note under what name the broker knows this worker."""
        text = consumer.encode()[: _RECORD - 8]
        self._map[:_RECORD] = (_MAGIC + bytes((len(text),)) + text).ljust(_RECORD, b"\0")

    def begin(self, slot: int, task_id: str) -> None:
        """`slot` starts to execute a task."""
        at = _RECORD * (slot + 1)
        text = task_id.encode()[:_MAX_ID]
        self._map[at + _HEADER : at + _HEADER + len(text)] = text
        self._map[at + 2] = len(text)
        self._map[at] = 1

    def loop(self, slot: int, running: bool) -> None:
        """The slot's task got or gave up the event loop."""
        self._map[_RECORD * (slot + 1)] = running

    def thread(self, slot: int, running: bool) -> None:
        """The slot's task entered or left a thread."""
        self._map[_RECORD * (slot + 1) + 1] = running

    def close(self) -> None:
        """After a clean end nothing is accused."""
        self._map[:] = bytes(len(self._map))
        self._map.close()
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None


def read_recording(path: Path) -> Recording | None:
    """What a dead worker's file says; None if there is none, or its worker ended cleanly or never got to write.

    :raises BlockingIOError: if its worker lives, or a process that it has left behind still holds the file.
    :raises OSError: if it cannot be read.
    """
    try:
        fd = os.open(path, os.O_RDWR)
    except FileNotFoundError:
        return None
    try:
        _lock(fd)
        data = os.read(fd, os.fstat(fd).st_size)
    finally:
        os.close(fd)
    if not data.startswith(_MAGIC):
        return None
    end = len(_MAGIC) + 1
    consumer = data[end : end + data[len(_MAGIC)]].decode(errors="replace")
    accused: list[str] = []
    for at in range(_RECORD, len(data), _RECORD):
        if data[at] or data[at + 1]:
            accused.append(data[at + _HEADER : at + _HEADER + data[at + 2]].decode(errors="replace"))
    return Recording(consumer, tuple(accused))


async def bury(predecessors: Sequence[Path], subscription: Subscription) -> None:
    """Have what dead workers held taken back, and remove their files. What fails is left to the next worker."""
    for path in predecessors:
        try:
            recording = read_recording(path)
            if recording is not None:
                await subscription.bury(recording.consumer, recording.accused)
        except Exception as error:  # noqa: BLE001 - its lease does the same, later; and the next worker finds the file
            logger.warning("What a dead worker held comes back when its lease ends: %r", error)
            continue
        if recording is not None:
            logger.info("Took back what worker %s held; on the CPU when it died: %s.",
                        recording.consumer, ", ".join(recording.accused) or "nothing")  # fmt: skip
        path.unlink(missing_ok=True)


def _lock(fd: int) -> None:
    if sys.platform != "win32":  # workers there have no supervisor that would hand their files on
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)


_recorders: weakref.WeakSet[Recorder] = weakref.WeakSet()


def _forget_all() -> None:
    for recorder in list(_recorders):
        recorder.forget()


if sys.platform != "win32":
    os.register_at_fork(after_in_child=_forget_all)
