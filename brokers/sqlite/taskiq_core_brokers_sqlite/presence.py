"""Whether the file that was opened is still the one that its name leads to."""

import contextlib
import os
import sys
from collections.abc import Generator
from pathlib import Path

if sys.platform != "win32":
    import fcntl

FileIdentity = tuple[int, int]


def identity(path: str) -> FileIdentity | None:
    """What tells files apart, whatever their names; None where there is none."""
    try:
        found = os.stat(path)  # noqa: PTH116 - before every transaction: half the time of Path.stat
    except OSError:
        return None
    return found.st_dev, found.st_ino


def create(path: str) -> None:
    """Make an empty file if there is none, without what a deleted one has left beside it. Says nothing if it cannot.

    SQLite finds the log and the shared memory by name. Processes that still use those of the deleted file would share them
    with those who use the new one, and damage it.
    """
    if sys.platform == "win32" or identity(path) is not None:  # there open files cannot be deleted
        return
    with contextlib.suppress(OSError), _alone_in(Path(path).parent):
        if identity(path) is None:
            for leftover in ("-wal", "-shm"):
                Path(path + leftover).unlink(missing_ok=True)
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o644))


@contextlib.contextmanager
def _alone_in(directory: Path) -> Generator[None]:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
