"""Waking other processes that wait for the same database, without polling and without a server.

Whoever waits binds a Unix datagram socket in a private directory that all processes of the user derive from the database's
path; whoever has committed something sends one byte to each. Sockets exist only while somebody waits, so that a busy system
pays one directory listing per commit. A ring can be missed (another user, another temporary directory, no such sockets on
this system): every wait therefore ends by itself after a while.
"""

import contextlib
import hashlib
import itertools
import os
import select
import socket
import stat
import tempfile
import zlib
from collections.abc import Collection, Generator, Sequence
from pathlib import Path

import anyio

RESULTS = "r"
"""Rung when results have been stored."""

_ANY_QUEUE = "q"
_MAX_NAMED = 4
_serial = itertools.count()


def queue_channel(queue: str) -> str:
    """The channel that is rung when messages of `queue` may be ready."""
    return f"{_ANY_QUEUE}{zlib.crc32(queue.encode(errors='surrogatepass')):08x}"


class Bell:
    """One waiter's ear; made by `Doorbell.listen`."""

    def __init__(self, ear: socket.socket | None) -> None:
        self._ear = ear

    async def wait(self, seconds: float) -> bool:
        """Wait for a ring, at most so many seconds; True if there was one."""
        if self._ear is None:
            await anyio.sleep(seconds)
            return False
        with anyio.move_on_after(seconds):
            await anyio.wait_readable(self._ear)
            self._drain(self._ear)
            return True
        return False

    @staticmethod
    def _drain(ear: socket.socket) -> None:
        with contextlib.suppress(OSError):  # empty now
            while True:
                ear.recv(1)


class Doorbell:
    """All the bells of one database file. `listen` belongs to waiting tasks, `ring` to the one thread that commits."""

    def __init__(self, path: str) -> None:
        self._directory = _private_directory(path)
        self._hand: socket.socket | None = None

    @property
    def works(self) -> bool:
        """False where waits end by their timeout alone."""
        return self._directory is not None

    @contextlib.contextmanager
    def listen(self, channels: Sequence[str]) -> Generator[Bell]:
        """Hear rings of these channels from now on. To lose none: listen, then look once more, then wait."""
        ear, name = self._bind(channels)
        try:
            yield Bell(ear)
        finally:
            if ear is not None and name is not None:
                name.unlink(missing_ok=True)
                ear.close()

    def ring(self, channels: Collection[str]) -> None:
        """Wake everybody who listens to one of these channels. Never blocks and never raises."""
        if self._directory is None or not channels:
            return
        with contextlib.suppress(OSError):
            for name in os.listdir(self._directory):  # noqa: PTH208 - twice as fast as iterdir, once per commit
                if _hears(name, channels):
                    self._send(self._directory / name)

    def close(self) -> None:
        """Give the sending socket back."""
        if self._hand is not None:
            self._hand.close()
            self._hand = None

    def _bind(self, channels: Sequence[str]) -> tuple[socket.socket | None, Path | None]:
        if self._directory is None:
            return None, None
        heard = channels if len(channels) <= _MAX_NAMED else [_ANY_QUEUE]
        name = self._directory / f"{'+'.join(heard)}~{os.getpid():x}-{next(_serial):x}"
        ear = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        try:
            ear.setblocking(False)
            ear.bind(str(name))
        except OSError:
            ear.close()
            return None, None
        return ear, name

    def _send(self, name: Path) -> None:
        if self._hand is None:
            self._hand = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            self._hand.setblocking(False)
        try:
            self._hand.sendto(b"!", str(name))
        except ConnectionRefusedError:
            name.unlink(missing_ok=True)  # its process died
        except OSError:
            return  # full: it has been rung already; gone: it does not wait any more


def _hears(name: str, channels: Collection[str]) -> bool:
    heard = name.partition("~")[0].split("+")
    return any(channel in heard or (_ANY_QUEUE in heard and channel.startswith(_ANY_QUEUE)) for channel in channels)


def _private_directory(path: str) -> Path | None:
    if not hasattr(socket, "AF_UNIX") or not hasattr(os, "getuid") or not hasattr(select, "poll"):
        return None
    uid = os.getuid()
    parent = Path(tempfile.gettempdir()) / f"taskiq-{uid}"
    directory = parent / hashlib.sha256(path.encode(errors="surrogateescape")).hexdigest()[:16]
    try:
        for folder in (parent, directory):
            folder.mkdir(mode=0o700, exist_ok=True)
            found = folder.lstat()
            if not stat.S_ISDIR(found.st_mode) or found.st_uid != uid or stat.S_IMODE(found.st_mode) & 0o077:
                return None
    except OSError:
        return None
    return directory if len(str(directory)) <= 50 else None
