"""Task records in Redis."""

import math
from collections.abc import Sequence
from typing import Any

from taskiq_core.abc.records import RecordPage, RecordStore
from taskiq_core.exceptions import ResultBackendError
from taskiq_core.records import TaskRecord, TaskStatus, Transition
from taskiq_core.server_results import as_result_error
from taskiq_core.stores.record_fold import RecordFold
from taskiq_core.wire import pack, unpack
from taskiq_core_result_backends_redis.steps import milliseconds, step, take_step
from taskiq_core_result_backends_redis.stored import OnRedis

_RECORD, _HISTORY, _COUNT = step("fold", "record"), step("fold", "history"), step("fold", "count")
_CLEANUP, _EXPIRE = step("fold", "cleanup"), step("fold", "expire")

_STATUSES = list(TaskStatus)
_RANK = {status: rank for rank, status in enumerate(TaskStatus)}
_KINDS = ("open", "start", "end")
_FACTS = ("task_name", "queue", "worker", "error")

_CHUNK = 250
"""Records that one step changes at most, so that none keeps the server for long."""


class RedisRecords(OnRedis, RecordStore):
    """One folded record per task; lists and counts read indexes and no other records than those they return.

    A record expires some time after its last transition was recorded. Every call but `get_records` deletes some of what has
    expired, `cleanup` all of it; and when nothing is recorded any more, everything expires as a whole.
    """

    record_ttl: float = 7 * 86400.0
    """Seconds that a record is kept after its last transition was recorded."""

    async def record(self, transitions: Sequence[Transition]) -> None:
        items: dict[str, list[object]] = {}
        for each in transitions:
            items.setdefault(each.task_id, [each.task_id]).append(_facts(each))
        batch = list(items.values())
        for begin in range(0, len(batch), _CHUNK):
            await take_step(self, _RECORD, milliseconds(self.record_ttl), pack(batch[begin : begin + _CHUNK]))

    async def get_records(self, task_ids: Sequence[str]) -> dict[str, TaskRecord]:
        if not task_ids:
            return {}
        with as_result_error(ResultBackendError):
            bodies = await self.require_commands().call("HMGET", f"{self.location.root}:records", *task_ids)
        found = [(task_id, body) for task_id, body in zip(task_ids, bodies, strict=True) if body is not None]
        return {task_id: _load(task_id, body).record() for task_id, body in found}

    async def list_records(
        self,
        *,
        task_name: str | None = None,
        status: TaskStatus | None = None,
        since: float | None = None,
        limit: int = 100,
        cursor: str | None = None,
    ) -> RecordPage:
        newest, _, border = (cursor or "+inf ").partition(" ")
        ranks = _RANK.values() if status is None else [_RANK[status]]
        indexes = [str(rank) if task_name is None else f"{rank}:{task_name}" for rank in ranks]
        answer = await take_step(self, _HISTORY, limit + 1, newest, border, _earliest(since), *indexes)
        rows = list(zip(answer[::2], answer[1::2], strict=True))
        folds = [_load(task_id.decode(), body) for task_id, body in rows[:limit]]
        more = folds and len(rows) > limit
        next_cursor = f"{_score(folds[-1].first_seen)} {folds[-1].task_id}" if more else None
        return RecordPage([fold.record() for fold in folds], next_cursor)

    async def count_by_status(self, *, since: float | None = None) -> dict[TaskStatus, int]:
        counts = await take_step(self, _COUNT, _earliest(since))
        return {status: count for status, count in zip(_STATUSES, counts, strict=True) if count}

    async def cleanup(self, *, older_than: float) -> int:
        while await take_step(self, _EXPIRE, _CHUNK):
            pass
        return sum([await self._clean(status, older_than) for status in _STATUSES if status.is_final])

    async def _clean(self, status: TaskStatus, older_than: float) -> int:
        kept = deleted = 0
        while True:
            answer: list[int] = await take_step(self, _CLEANUP, _RANK[status], older_than, kept, _CHUNK)
            seen, gone = answer
            kept, deleted = kept + seen - gone, deleted + gone
            if seen < _CHUNK:
                return deleted


def _facts(step: Transition) -> tuple[object, ...]:
    known = (step.task_name or "", step.queue or "", step.worker or "", step.error or "")
    return (step.at, _RANK[step.status], step.attempt or 0, *known)


def _load(task_id: str, body: bytes) -> RecordFold:
    """A fold as fold.lua packs it."""
    first_seen, queued_at, attempts, *newest = unpack(body)
    steps, facts = zip(_KINDS, newest[:3], strict=True), zip(_FACTS, newest[3:], strict=True)
    return RecordFold(
        task_id,
        float(first_seen),
        attempts,
        None if queued_at is False else float(queued_at),
        {kind: (_moment(step), _STATUSES[step[1]]) for kind, step in steps if step},
        {name: (_moment(fact), fact[2]) for name, fact in facts if fact},
    )


def _moment(part: Sequence[Any]) -> tuple[float, int]:
    return (float(part[0]), part[1])


def _earliest(since: float | None) -> str:
    return "-inf" if since is None else _score(since)


def _score(moment: float) -> str:
    """The place of a time in the indexes, as fold.lua has it."""
    return str(math.floor(moment * 1e6))
