"""What SQLite's errors mean for the person who has to act on them."""

import errno
import sqlite3
from pathlib import Path

from taskiq_core.exceptions import ConfigurationError
from taskiq_core.server_error import ServerError


class DatabaseError(ServerError):
    """The database file, which is the server here, could not be used.

    `certain` is False where a commit failed half-way, so that nobody can say whether it took place. `passing` is True where
    others had locked the file. `of_data` is True where nothing is wrong with the file, but with what was to be written.
    `permanent` is True where only a person can help.
    """

    of_data: bool = False
    permanent: bool = False


class UnusableDatabaseError(DatabaseError, ConfigurationError):
    """The file cannot be used, and trying again will not help: found when it is opened."""


_BUSY = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)

_PERMANENT = (
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_PERM,
    sqlite3.SQLITE_NOTADB,
    sqlite3.SQLITE_CORRUPT,
    sqlite3.SQLITE_CANTOPEN,
)

_OF_DATA = (sqlite3.ProgrammingError, sqlite3.InterfaceError, sqlite3.DataError)

_SENTENCES = {
    sqlite3.SQLITE_BUSY: "is locked by another program: end the long transaction there, or raise `send_timeout`.",
    sqlite3.SQLITE_LOCKED: "is locked by another program: end the long transaction there, or raise `send_timeout`.",
    sqlite3.SQLITE_FULL: "cannot grow: the disk is full. Free some space; nothing was written.",
    sqlite3.SQLITE_READONLY: "is read-only: give this user write permission for the file and its directory.",
    sqlite3.SQLITE_PERM: "may not be opened: give this user read and write permission.",
    sqlite3.SQLITE_NOTADB: "is not an SQLite database: the path is wrong, or the file is damaged.",
    sqlite3.SQLITE_CORRUPT: "is damaged: restore it from a backup, or move it away to start with an empty one.",
    sqlite3.SQLITE_CANTOPEN: "cannot be opened: check that the path is a file and its permissions.",
    sqlite3.SQLITE_IOERR: "cannot be read or written: the disk reports an error.",
}


def primary_code(error: sqlite3.Error) -> int:
    """SQLite's primary result code; 0 where the error has none."""
    return int(getattr(error, "sqlite_errorcode", 0) or 0) & 0xFF


def is_busy(error: sqlite3.Error) -> bool:
    """True if trying again a little later may help."""
    return primary_code(error) in _BUSY


def explain(error: sqlite3.Error | OSError, path: str, *, certain: bool = True) -> DatabaseError:
    """The error to raise instead, with a sentence that names the file."""
    if isinstance(error, _OF_DATA):
        return DatabaseError(reason=f"The database {path} cannot store this: {error}", certain=certain, of_data=True)
    if isinstance(error, OSError):
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        sentence = _SENTENCES[sqlite3.SQLITE_FULL] if full else f"cannot be used: {error.strerror}."
    elif not Path(path).parent.is_dir():
        sentence = f"cannot be opened: the directory {Path(path).parent} does not exist. Create it first."
    else:
        sentence = _SENTENCES.get(primary_code(error), "cannot be used.")
    return DatabaseError(
        reason=f"The database {path} {sentence} (SQLite says: {error})",
        certain=certain,
        passing=isinstance(error, sqlite3.Error) and is_busy(error),
        permanent=isinstance(error, sqlite3.Error) and primary_code(error) in _PERMANENT,
    )
