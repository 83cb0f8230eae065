"""Bringing parked messages back."""

from collections.abc import Sequence

from taskiq_core_brokers_redis.line import Line
from taskiq_core_brokers_redis.packing import Argument
from taskiq_core_brokers_redis.scripts import Script

_UNPARK = Script("returning", "delayed", "parking", "unpark")
_PAGE = 500
"""Texts at a time."""
_ALL = 10**15


async def unpark(commands: Line, root: str, counts: Sequence[Argument], consumer: str = "") -> int:
    """Deliver up to so many of those parked for each text; returns how many. Cancelling leaves some of them parked.

    :param counts: parts of: text, count.
    :param consumer: who calls; empty where it does not matter whether anybody would take them.
    """
    total = 0
    while counts:
        woken, counts = await commands.run(_UNPARK, root, consumer, *counts)
        total += woken
    return total


async def unpark_all(commands: Line, root: str, prefix: str) -> int:
    """Deliver whatever is parked for texts that begin with `prefix`; returns how many. Cancelling leaves some parked."""
    total, start = 0, b"[" + prefix.encode()
    end = start + b"\xff"  # which no text has
    while texts := await commands.call("ZRANGEBYLEX", f"{root}:parked", start, end, "LIMIT", 0, _PAGE):
        total += await unpark(commands, root, [part for text in texts for part in (text, _ALL)])
        start = b"(" + texts[-1]
    return total
