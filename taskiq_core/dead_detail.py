"""What is kept beside the reason of a dead letter: which error it was, and where it was raised."""

from dataclasses import dataclass
from typing import Any, cast

from taskiq_core.dead_bounds import DETAIL_BYTES, REASON_BYTES, shortened
from taskiq_core.wire import pack, unpack

_FRAME = 16
"""Bytes around the two, at the most."""


@dataclass(frozen=True, slots=True)
class DeadDetail:
    """`error` is type and text; `traceback` is as Python prints it, if there is one. Of long ones the middle is left out."""

    error: str
    traceback: str | None = None

    def pack(self) -> bytes:
        """As brokers keep it, in `DETAIL_BYTES` at the most."""
        trace = None if self.traceback is None else shortened(self.traceback, DETAIL_BYTES - REASON_BYTES - _FRAME)
        return pack([shortened(self.error, REASON_BYTES), trace])

    @classmethod
    def unpack(cls, body: bytes | None) -> "DeadDetail | None":
        """What `pack` made; None for anything else: a dead letter must be readable whoever wrote it."""
        if body is None:
            return None
        try:
            fields = unpack(body)
        except ValueError:
            return None
        if not isinstance(fields, list):
            return None
        values = cast("list[Any]", fields)
        if len(values) != 2 or not isinstance(values[0], str) or not isinstance(values[1], str | None):
            return None
        return cls(values[0], values[1])
