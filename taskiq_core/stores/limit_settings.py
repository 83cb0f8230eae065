"""Limits that were changed at run time, as stores read them."""

import re
from dataclasses import replace

from taskiq_core.abc.coordinator import RateLimit, SlotLimit

_COUNT = re.compile(rb"\d{1,15}")
_NUMBER = rb"\d+(?:\.\d*)?(?:e[+-]?\d+)?"
_RATE = re.compile(rb"(\d{1,15}) (%b) (%b)" % (_NUMBER, _NUMBER))
_LONGEST = 1e9


def slots_of(place: SlotLimit, value: bytes | None) -> int:
    """How many slots there are, where the setting has this value; one that cannot be read is as good as none."""
    return int(value) if value is not None and _COUNT.fullmatch(value) else place.limit


def changed_rate(rate: RateLimit, value: bytes | None) -> RateLimit | None:
    """The rate that a setting says; None where it says none that can be kept."""
    match = None if value is None else _RATE.fullmatch(value)
    if match is None:
        return None
    limit, window, pace = int(match[1]), float(match[2]), float(match[3])
    return replace(rate, limit=limit, window=window, pace=pace) if limit >= 1 and 0 < window <= pace <= _LONGEST else None
