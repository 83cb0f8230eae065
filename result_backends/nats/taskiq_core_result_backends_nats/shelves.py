"""Where a result stands: a bucket for each order of magnitude of time that results are kept.

A server before 2.11 deletes messages by an age that all of a stream share. So a result goes to the bucket with the shortest age
that is long enough for it, and carries the time when it ends for readers.
"""

import math
import struct
import time
from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

from taskiq_core.wire import pack, unpack

DAY: Final = 86400.0
AGES: Final[Mapping[str, float]] = {
    "hour": 3600.0,
    "day": DAY,
    "week": 7 * DAY,
    "month": 31 * DAY,
    "year": 366 * DAY,
    "ever": math.inf,
}
"""Seconds after which the server deletes what is on a shelf."""

_HEAD = struct.Struct(">cQ")
_WHOLE, _PARTS = b"w", b"p"


class Parts(NamedTuple):
    """A result that is stored in parts."""

    digest: str
    number: int


def shelf_for(ttl: float | None) -> str:
    """The shelf for what is kept `ttl` seconds; None: for ever."""
    return "ever" if ttl is None else next(name for name, age in AGES.items() if ttl <= age)


def whole(body: bytes, ttl: float | None) -> bytes:
    """What to store for a body."""
    return _HEAD.pack(_WHOLE, _end(ttl)) + body


def in_parts(parts: Parts, ttl: float | None) -> bytes:
    """What to store for a body whose parts are stored already."""
    return _HEAD.pack(_PARTS, _end(ttl)) + pack(list(parts))


def read(value: bytes) -> bytes | Parts | None:
    """What is stored; None if its time is over.

    :raises ValueError: for a value of another kind.
    """
    if len(value) < _HEAD.size:
        raise ValueError(value)
    kind, end = _HEAD.unpack_from(value)
    if end and end <= time.time() * 1000:
        return None
    body = value[_HEAD.size :]
    return body if kind == _WHOLE else Parts(*unpack(body))


def key_of_part(task_id: str, digest: str, number: int) -> str:
    """The key of one part; a result with other bytes has other ones."""
    return f"{task_id}/{digest}/{number}"


def keys_of(task_id: str, parts: Parts) -> Iterable[str]:
    """Those of all."""
    return (key_of_part(task_id, parts.digest, number) for number in range(parts.number))


def _end(ttl: float | None) -> int:
    return 0 if ttl is None else math.ceil((time.time() + ttl) * 1000)
