"""How much of what a dead letter tells is kept by every broker: a task's error may be as long as its input."""

from typing import Final

REASON_BYTES: Final = 2_000
"""Of a reason, as UTF-8."""
DETAIL_BYTES: Final = 16_384
"""Of a detail."""


def shortened(text: str, limit: int) -> str:
    """At most `limit` bytes (100 or more) of UTF-8: of a longer text the middle is left out, and it says so."""
    data = text.encode(errors="replace")
    if len(data) <= limit:
        return text
    note = f" [... {len(data) - limit} bytes or more are left out ...] "
    half = (limit - len(note)) // 2
    return data[:half].decode(errors="ignore") + note + data[-half:].decode(errors="ignore")


def cut_reason(reason: str) -> str:
    """Its beginning, for brokers that cannot keep more than they have to."""
    return reason.encode(errors="replace")[:REASON_BYTES].decode(errors="ignore")
