"""Storing results on their shelves, and finding them there."""

import asyncio
import hashlib
import math
import time
from collections.abc import Sequence

from taskiq_core.delivery import StoredResult
from taskiq_core_brokers_nats.connection import Connection
from taskiq_core_result_backends_nats.bucket import Bucket, Entry
from taskiq_core_result_backends_nats.shelves import AGES, Parts, in_parts, key_of_part, keys_of, read, shelf_for, whole

_MARGIN = 1024
"""Bytes of a message that are not ours."""
_DISCOVER = 1.0
"""Seconds between two looks for shelves that others have made."""
_AT_ONCE = 8
"""Parts that are read at once."""


class Library:
    """All shelves of one prefix. Methods raise `NatsError` if NATS cannot be asked.

    :param home: the shelf where most results are.
    """

    def __init__(self, connection: Connection, name: str, home: str, replicas: int) -> None:
        self._connection = connection
        self._home = home
        self._shelves = {
            shelf: Bucket(connection, f"{name}_{shelf}", max_age=0.0 if math.isinf(age) else age, replicas=replicas)
            for shelf, age in AGES.items()
        }
        self._discovered = -math.inf

    async def store(self, results: Sequence[StoredResult], result_ttl: float | None) -> dict[str, list[str]]:
        """Store all; returns the ids by shelf."""
        limit = (await self._connection.usable()).info["max_payload"] - _MARGIN
        parts: dict[str, dict[str, bytes]] = {}
        values: dict[str, dict[str, bytes]] = {}
        for item in results:
            ttl = result_ttl if item.ttl is None else item.ttl
            shelf = shelf_for(ttl)
            if len(item.body) < limit:
                value = whole(item.body, ttl)
            else:
                pieces, value = _split(item, ttl, limit // 2)
                parts.setdefault(shelf, {}).update(pieces)
            values.setdefault(shelf, {})[item.task_id] = value
        for step in (parts, values):  # whoever finds a result finds its parts
            for shelf, those in step.items():
                await self._shelves[shelf].put(those)
        return {shelf: list(those) for shelf, those in values.items()}

    async def find(self, task_ids: Sequence[str]) -> dict[str, bytes]:
        """The bodies of those that are there."""
        found = await self._look(self._home, task_ids)
        left = [task_id for task_id in task_ids if task_id not in found]
        if left:
            await self._discover()
            others = [shelf for shelf, bucket in self._shelves.items() if bucket.known and shelf != self._home]
            for those in await asyncio.gather(*(self._look(shelf, left) for shelf in others)):
                found.update(those)
        return found

    def note(self, shelf: str) -> None:
        """Something was stored there."""
        if bucket := self._shelves.get(shelf):
            bucket.known = True

    async def _discover(self) -> None:
        if time.monotonic() - self._discovered >= _DISCOVER:
            await asyncio.gather(*(bucket.exists() for bucket in self._shelves.values() if not bucket.known))
            self._discovered = time.monotonic()

    async def _look(self, shelf: str, task_ids: Sequence[str]) -> dict[str, bytes]:
        bucket, found = self._shelves[shelf], dict[str, bytes]()
        for task_id, entry in (await bucket.get(task_ids)).items():
            value = read(entry.value)
            if isinstance(value, Parts):
                value = await _joined(bucket, task_id, value)
            if value is not None:
                found[task_id] = value
        return found


def _split(item: StoredResult, ttl: float | None, size: int) -> tuple[dict[str, bytes], bytes]:
    digest = hashlib.sha256(item.body).hexdigest()[:32]
    pieces = [item.body[start : start + size] for start in range(0, len(item.body), size)]
    keys = (key_of_part(item.task_id, digest, number) for number in range(len(pieces)))
    return dict(zip(keys, pieces, strict=True)), in_parts(Parts(digest, len(pieces)), ttl)


async def _joined(bucket: Bucket, task_id: str, parts: Parts) -> bytes | None:
    """The body; None if parts are missing, as the result has ended or is being replaced."""
    keys = list(keys_of(task_id, parts))
    pieces: dict[str, Entry] = {}
    for start in range(0, len(keys), _AT_ONCE):
        pieces |= await bucket.get(keys[start : start + _AT_ONCE])
    return b"".join(pieces[key].value for key in keys) if len(pieces) == len(keys) else None
