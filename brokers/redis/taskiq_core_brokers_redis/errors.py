"""What Redis's errors mean for the person who has to act on them."""

import re

from taskiq_core.exceptions import ConfigurationError
from taskiq_core.server_error import ServerError


class RedisError(ServerError):
    """Redis could not be reached or used. `elsewhere` is True where another server has to be asked."""

    elsewhere: bool = False


class UnusableRedisError(RedisError, ConfigurationError):
    """Redis cannot be used as it is, and trying again will not help."""


class ScriptMissingError(RedisError):
    """The server does not know a script, as after a restart; nothing was done."""


def lost(place: str, why: object, *, certain: bool) -> RedisError:
    """The connection broke, or could not be made."""
    return RedisError(reason=f"Redis at {place} cannot be reached: {why}", certain=certain, passing=True)


_PASSING = {
    "LOADING": "is loading its data from disk.",
    "BUSY": "is busy with somebody's slow script.",
    "NOGROUP": "has lost the keys of a queue: somebody deleted them. Workers make them anew.",
    "TRYAGAIN": "is moving our keys to another node.",
}

_ELSEWHERE = {
    "READONLY": "is a replica and takes no writes: give the address of the primary, or use redis+sentinel://.",
    "MASTERDOWN": "is a replica whose primary is down.",
    "MOVED": "is part of a cluster and our keys are on another node: use redis+cluster://.",
    "ASK": "is moving our keys to another node of its cluster.",
    "CLUSTERDOWN": "is part of a cluster that is down.",
    "UNBLOCKED": "has ended our read: it changed its role, or keys of a queue were deleted.",
}

_REFUSED = {
    "OOM": "has no memory left (maxmemory) and refuses to store more: raise maxmemory, or let workers catch up.",
    "MISCONF": "refuses writes because it cannot save to disk: look at its log and its disk.",
    "NOREPLICAS": "refuses writes because too few replicas are connected (min-replicas-to-write).",
}

_PERMANENT = {
    "WRONGPASS": "refuses the user name or password of the URL.",
    "NOAUTH": "wants a password: put it into the URL, redis://:password@host:port/0.",
    "NOPERM": "does not allow this user what is needed: see the ACL rule in the how-to on Redis in production.",
    "NOPROTO": "is too old: 6.2 is the oldest version that works.",
    "WRONGTYPE": "holds other data under our keys: choose another prefix with ?prefix=name.",
}


def explain(text: str, place: str) -> RedisError:
    """The error to raise for an error reply; its text names the server and never a password."""
    code = _code(text)
    said = f" (Redis says: {text})"
    if code == "NOSCRIPT":
        return ScriptMissingError(reason=f"Redis at {place} does not know a script.")
    if "user executing the script can't" in text:  # how Redis 7.0 says NOPERM from within a script
        code = "NOPERM"
    if code in _PASSING:
        return RedisError(reason=f"Redis at {place} {_PASSING[code]}{said}", passing=True)
    if code in _ELSEWHERE:
        return RedisError(reason=f"Redis at {place} {_ELSEWHERE[code]}{said}", passing=True, elsewhere=True)
    if code in _REFUSED:
        return RedisError(reason=f"Redis at {place} {_REFUSED[code]}{said}")
    if code in _PERMANENT:
        return UnusableRedisError(reason=f"Redis at {place} {_PERMANENT[code]}{said}")
    if "DB index is out of range" in text or "SELECT is not allowed" in text or "invalid DB index" in text:
        sentence = "has no database of that number: choose another one, redis://host:port/0, or raise `databases` there."
        return UnusableRedisError(reason=f"Redis at {place} {sentence}{said}")
    if "without any password configured" in text:
        return UnusableRedisError(reason=f"Redis at {place} has no password: leave it out of the URL.{said}")
    if "unknown command" in text.lower():
        return UnusableRedisError(reason=f"Redis at {place} is too old or restricts commands.{said}")
    return RedisError(reason=f"Redis at {place} refused a command.{said}")


def _code(text: str) -> str:
    code, _, rest = text.partition(" ")
    if code == "ERR" and (inner := re.search(r"-([A-Z]{2,}) ", rest)):  # how Redis 6.2 reports errors from within a script
        return inner[1]
    return code
