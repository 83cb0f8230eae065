"""What PostgreSQL's errors mean for the person who has to act on them."""

import ssl

import asyncpg

from taskiq_core.exceptions import ConfigurationError
from taskiq_core.server_error import ServerError


class PostgresError(ServerError):
    """PostgreSQL could not be reached or used.

    `of_data` is True where nothing is wrong but with what was to be written, `exists` where that is there already, `held_up`
    where a lock of somebody else's did not end in time.
    """

    of_data: bool = False
    exists: bool = False
    held_up: bool = False


class UnusablePostgresError(PostgresError, ConfigurationError):
    """PostgreSQL cannot be used as it is, and trying again will not help."""


DRIVER_ERRORS = (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError)
"""What asyncpg raises; a `TimeoutError` is an `OSError`."""

_GONE = ("08", "57P", "25P03", "53300")
"""The server ended the connection, also one that was silent in a transaction, is starting or stopping, or has too many."""
_AGAIN = ("40", "57014", "25006")
"""Rolled back: deadlock or statement timeout; or this server has become a replica."""
_LOCKED = "55P03"
_WAITED = "works, but another connection holds what this needs locked: pg_stat_activity and pg_locks say which."
_UNIQUE = "23505"
_OF_DATA = ("21", "22", "23")
_LIMIT = "54000"

_PERMANENT = {
    "28": "refuses the user name or password of the URL.",
    "3D000": "has no database of that name: create it, or correct the URL.",
    "42501": "does not allow this user what is needed: see the rights in the how-to on PostgreSQL.",
    "42P01": "has not all of our tables: somebody dropped them. Start the broker again, which makes them.",
    "3F000": "has no schema of that name: somebody dropped it. Start the broker again, which makes it.",
    "0A000": "is too old: 13 is the oldest version that works.",
}
_REFUSED = {
    "53100": "has no room on its disk: free some.",
    "53200": "is out of memory.",
    _LIMIT: "has reached a limit of its own, which may be a session that listens and leaves a transaction open.",
}


def lost(place: str, why: object, *, certain: bool) -> PostgresError:
    """The connection broke, or could not be made."""
    return PostgresError(reason=f"PostgreSQL at {place} cannot be reached: {why}", certain=certain, passing=True)


def unusable(error: BaseException, place: str) -> PostgresError | None:
    """The error of a try to connect that will end so each time, as the URL asks for what is not there."""
    if isinstance(error, asyncpg.ClientConfigurationError):
        return UnusablePostgresError(reason=f"PostgreSQL at {place} cannot be used with this URL: {error}")
    if isinstance(error, ssl.SSLCertVerificationError):
        reason = (
            f"PostgreSQL at {place} has a certificate that is not trusted: name the authority that made it in the URL, "
            f"sslrootcert=..., and the host as the certificate does. (TLS says: {error.verify_message})"
        )
        return UnusablePostgresError(reason=reason)
    if isinstance(error, ConnectionError) and "rejected SSL upgrade" in str(error):
        reason = (
            f"PostgreSQL at {place} takes no TLS, which the URL asks for: turn it on there (ssl = on), or leave sslmode out of "
            "the URL."
        )
        return UnusablePostgresError(reason=reason)
    return None


def _too_long(error: BaseException, code: str) -> bool:
    """A text that no index holds; others of this code are limits of the server, such as a full queue of notifications."""
    return code == _LIMIT and "index" in str(error)


def explain(error: BaseException, place: str, *, connecting: bool = False) -> PostgresError:
    """The error to raise for one of the driver's; its text names the server and never a password."""
    code: str = getattr(error, "sqlstate", None) or ""
    if isinstance(error, asyncpg.DataError) or (code and code.startswith(_OF_DATA)) or _too_long(error, code):
        return PostgresError(reason=f"PostgreSQL cannot store this: {error}", of_data=True, exists=code == _UNIQUE)
    if not code or code.startswith(_GONE):
        return lost(place, str(error) or type(error).__name__, certain=connecting)
    said = f" (PostgreSQL says: {error})"
    if code == _LOCKED:
        return PostgresError(reason=f"PostgreSQL at {place} {_WAITED}{said}", passing=True, held_up=True)
    if code.startswith(_AGAIN):
        return PostgresError(reason=f"PostgreSQL at {place} gave a statement up.{said}", passing=True)
    for known, sentence in _PERMANENT.items():
        if code.startswith(known):
            return UnusablePostgresError(reason=f"PostgreSQL at {place} {sentence}{said}")
    return PostgresError(reason=f"PostgreSQL at {place} {_REFUSED.get(code, 'refused a statement.')}{said}")
