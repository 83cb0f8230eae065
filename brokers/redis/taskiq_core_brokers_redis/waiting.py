"""What waits in a queue, for who moves it to another broker."""

from collections.abc import Collection, Sequence

from taskiq_core.abc.evacuation import Waiting
from taskiq_core_brokers_redis.line import Line
from taskiq_core_brokers_redis.scripts import Script

_WAITING = Script("unread", "waiting")
_SCAN = 1000
"""Keys that Redis looks at in one step."""
_GLOB = str.maketrans({sign: f"\\{sign}" for sign in "\\*?[]"})


async def look(commands: Line, root: str, queue: str, limit: int, shown: Collection[str]) -> Sequence[Waiting]:
    """At most so many, but for those with these task ids; the ready first, in their order."""
    found = await commands.run(_WAITING, root, queue, limit, *shown)
    return [
        Waiting(task_id.decode(), body, queue, int(priority), delay=wait / 1000 if wait > 0 else None)
        for task_id, body, priority, wait in found
    ]


async def queues(commands: Line, root: str) -> frozenset[str]:
    """Those that have been used and have a key still, and those that are paused. Goes through all keys of the server."""
    names = {name.decode() for name in await commands.call("SMEMBERS", f"{root}:paused")}
    head, cursor = f"{root}:q:", b"0"
    while True:
        cursor, keys = await commands.call("SCAN", cursor, "MATCH", f"{head.translate(_GLOB)}*", "COUNT", _SCAN)
        names.update(key.decode()[len(head) :].rpartition(":")[0] for key in keys)
        if cursor == b"0":
            return frozenset(names)
