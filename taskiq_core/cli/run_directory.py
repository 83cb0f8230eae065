"""Where the flight recorders of worker processes lie, so that somebody finds them when everybody is dead.

`<temp>/taskiq-<uid>/<application>-<hash>/<supervisor>/<n>.recorder`. A supervisor holds a lock on `lock` in its own
directory while it lives, and a worker one on its recorder. Files that nobody holds were left by the dead: a new supervisor
of the same application moves them into its own directory (a move has one winner) and hands them to its first workers.
"""

import fcntl
import hashlib
import os
import re
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Self

_LOCK = "lock"
_RECORDER = ".recorder"


class RunDirectory:
    """One supervisor's directory. Close it when all workers have ended."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._serial = 0
        # Locked before it gets its name: nobody ever sees it free while we live.
        self._lock = _try_lock(path / "new", create=True)
        (path / "new").rename(path / _LOCK)

    @classmethod
    def create(cls, application: str) -> Self:
        """Make a directory for a supervisor of `application`, which is run from the working directory.

        :raises OSError: if there is no place to write to, or somebody else owns that place.
        """
        base = Path(tempfile.gettempdir()) / f"taskiq-{os.getuid()}"
        digest = hashlib.sha256(f"{Path.cwd()}\0{application}".encode()).hexdigest()[:12]
        family = base / f"{re.sub(r'[^A-Za-z0-9_.]+', '-', application)[:40]}-{digest}"
        for directory in (base, family):
            _make_private(directory)
        return cls(Path(tempfile.mkdtemp(prefix=f"{os.getpid()}-", dir=family)))

    def new_recorder(self) -> Path:
        """A path that no worker has had before; the worker makes the file."""
        self._serial += 1
        return self.path / f"{self._serial}{_RECORDER}"

    def adopt(self) -> list[Path]:
        """Take over the recorders that dead supervisors' dead workers left."""
        adopted: list[Path] = []
        for other in sorted(self.path.parent.iterdir()):
            if other == self.path:
                continue
            lock = _try_lock(other / _LOCK)
            if lock is None:
                continue  # alive, or being made
            try:
                adopted += list(self._take_from(other))
                if not any(other.glob(f"*{_RECORDER}")):
                    shutil.rmtree(other, ignore_errors=True)
            finally:
                os.close(lock)
        return adopted

    def _take_from(self, other: Path) -> Iterator[Path]:
        for recorder in sorted(other.glob(f"*{_RECORDER}")):
            lock = _try_lock(recorder)
            if lock is None:
                continue  # its worker still drains
            mine = self.new_recorder()
            with suppress(FileNotFoundError):
                recorder.rename(mine)
                yield mine
            os.close(lock)

    def close(self) -> None:
        """Remove the directory, unless it holds recorders that are still to be read."""
        if not any(self.path.glob(f"*{_RECORDER}")):
            shutil.rmtree(self.path, ignore_errors=True)
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


def _make_private(directory: Path) -> None:
    # The temp dir belongs to everybody: never trust a directory that somebody else has put there.
    with suppress(FileExistsError):
        directory.mkdir(mode=0o700)
    status = directory.lstat()
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.getuid() or status.st_mode & 0o077:
        msg = f"{directory} is not a private directory of this user"
        raise PermissionError(msg)


def _try_lock(path: Path, *, create: bool = False) -> int | None:
    try:
        fd = os.open(path, os.O_RDWR | (os.O_CREAT if create else 0), 0o600)
    except OSError:
        return None
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(fd)
        return None
    return fd
