"""Task records in a table: the fold is done by the statement that writes, so writers lose nothing and lock only rows."""

# ruff: noqa: S608 - what is put into statements here are constants of ours

import dataclasses
import json
from collections.abc import Mapping, Sequence
from typing import Any

from taskiq_core.abc.records import RecordPage, RecordStore
from taskiq_core.portable_text import is_portable, made_portable
from taskiq_core.records import TaskRecord, TaskStatus, Transition
from taskiq_core.stores.record_fold import RecordFold
from taskiq_core.stores.record_pages import begin_of, earliest, page_of
from taskiq_core_result_backends_postgres.stored import OnTables

_STATUSES = list(TaskStatus)
_RANK = {status: rank for rank, status in enumerate(TaskStatus)}
_MOMENTS = {"open": "opening", "start": "start", "end": "ending"}
"""Columns by what the fold calls them."""
_FACTS = {"task_name": "name", "queue": "queue", "worker": "worker", "error": "error"}
_FINAL = ", ".join(str(rank) for status, rank in _RANK.items() if status.is_final)
_CHUNK = 1000

_EARLIEST, _GREATEST = ("first_seen", "queued_at"), ("attempts", *_MOMENTS.values(), *_FACTS.values())
_COLUMNS = ", ".join((*_EARLIEST, *_GREATEST))
_FOLD = f"""INSERT INTO taskiq.records AS known (task_id, expires, {_COLUMNS})
    SELECT task_id, now() + $2::float8 * interval '1 second', {_COLUMNS}
    FROM json_populate_recordset(NULL::taskiq.records, $1::json)
    ON CONFLICT (task_id) DO UPDATE SET expires = excluded.expires,
        {", ".join(f"{name} = least(known.{name}, excluded.{name})" for name in _EARLIEST)},
        {", ".join(f"{name} = greatest(known.{name}, excluded.{name})" for name in _GREATEST)}"""
_GET = "SELECT row_to_json(records)::text FROM taskiq.records WHERE task_id = ANY($1::text[])"
_COUNT = "SELECT status, count(*) FROM taskiq.records WHERE first_seen >= $1 GROUP BY status"
_CLEANUP = f"""WITH old AS MATERIALIZED (
        SELECT ctid AS spot FROM taskiq.records WHERE status IN ({_FINAL}) AND first_seen < extract(epoch FROM now()) - $1
        AND ending[1] < extract(epoch FROM now()) - $1 LIMIT {_CHUNK} FOR UPDATE SKIP LOCKED),
    gone AS (DELETE FROM taskiq.records USING old WHERE records.ctid = old.spot RETURNING 1)
    SELECT count(*) FROM gone"""


class PostgresRecords(OnTables, RecordStore):
    """One row per task: the fold of its transitions. It goes some time after its last transition was recorded."""

    record_ttl: float = 7 * 86400.0
    """Seconds that a record is kept after its last transition was recorded."""

    async def record(self, transitions: Sequence[Transition]) -> None:
        folds: dict[str, RecordFold] = {}
        for step in transitions:
            folds.setdefault(step.task_id, RecordFold(step.task_id)).add(_storable(step))
        if folds:
            # In an order that all writers share, so that none wait for each other.
            await self.ask(_FOLD, json.dumps([_row(folds[task_id]) for task_id in sorted(folds)]), self.record_ttl)

    async def get_records(self, task_ids: Sequence[str]) -> dict[str, TaskRecord]:
        rows = await self.ask(_GET, task_ids) if task_ids else ()
        return {fold.task_id: fold.record() for fold in (_load(row[0]) for row in rows)}

    async def list_records(
        self,
        *,
        task_name: str | None = None,
        status: TaskStatus | None = None,
        since: float | None = None,
        limit: int = 100,
        cursor: str | None = None,
    ) -> RecordPage:
        arguments: list[Any] = [limit + 1, *begin_of(cursor), earliest(since)]
        narrowed = ""
        for column, value in (("task_name", task_name), ("status", None if status is None else _RANK[status])):
            if value is not None:
                arguments.append(value)
                narrowed += f"AND {column} = ${len(arguments)} "
        rows = await self.ask(
            f"""SELECT row_to_json(records)::text FROM taskiq.records
                WHERE (first_seen, task_id) < ($2, $3) AND first_seen >= $4 {narrowed}
                ORDER BY first_seen DESC, task_id DESC LIMIT $1""",
            *arguments,
        )
        return page_of([_load(row[0]) for row in rows], limit)

    async def count_by_status(self, *, since: float | None = None) -> dict[TaskStatus, int]:
        return {_STATUSES[rank]: count for rank, count in await self.ask(_COUNT, earliest(since))}

    async def cleanup(self, *, older_than: float) -> int:
        deleted = 0
        while True:
            gone: int
            ((gone,),) = await self.ask(_CLEANUP, older_than)
            deleted += gone
            if gone < _CHUNK:
                return deleted


def _storable(step: Transition) -> Transition:
    facts: dict[str, Any] = {name: text for name in _FACTS if (text := getattr(step, name))}
    if all(map(is_portable, facts.values())):
        return step
    facts = {name: made_portable(text) for name, text in facts.items()}
    return dataclasses.replace(step, **facts)


def _row(fold: RecordFold) -> dict[str, object]:
    """As the table's columns."""
    task_id, first_seen, attempts, queued_at, newest, facts = (getattr(fold, item.name) for item in dataclasses.fields(fold))
    return {
        "task_id": task_id,
        "first_seen": first_seen,
        "attempts": attempts,
        "queued_at": queued_at,
        **{_MOMENTS[kind]: moment for kind, (moment, _) in newest.items()},
        **{_FACTS[name]: {"at": moment[0], "rank": moment[1], "value": value} for name, (moment, value) in facts.items()},
    }


def _load(text: str) -> RecordFold:
    row: Mapping[str, Any] = json.loads(text)
    moments = {kind: row[column] for kind, column in _MOMENTS.items() if row[column]}
    facts = {name: row[column] for name, column in _FACTS.items() if row[column]}
    return RecordFold(
        row["task_id"],
        float(row["first_seen"]),
        row["attempts"],
        None if row["queued_at"] is None else float(row["queued_at"]),
        {kind: ((float(at), int(rank)), _STATUSES[int(rank)]) for kind, (at, rank) in moments.items()},
        {name: ((float(fact["at"]), fact["rank"]), fact["value"]) for name, fact in facts.items()},
    )
