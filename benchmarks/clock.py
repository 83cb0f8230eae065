"""Wall and CPU time, read together."""

import time
from typing import NamedTuple


class Time(NamedTuple):
    """Seconds: on the wall, and on the CPU by all threads of this process."""

    wall: float
    cpu: float


def now() -> Time:
    """A moment."""
    return Time(time.perf_counter(), time.process_time())


def since(begin: Time) -> Time:
    """How long ago a moment was."""
    return between(begin, now())


def between(begin: Time, end: Time) -> Time:
    """From one moment to another."""
    return Time(end.wall - begin.wall, end.cpu - begin.cpu)
