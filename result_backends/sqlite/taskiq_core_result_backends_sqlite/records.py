"""Task records in one file."""

import dataclasses
import sqlite3
import time
from collections.abc import Mapping, Sequence

from taskiq_core.abc.records import RecordPage, RecordStore
from taskiq_core.records import TaskRecord, TaskStatus, Transition
from taskiq_core.stores.record_fold import RecordFold
from taskiq_core.stores.record_pages import begin_of, earliest, page_of
from taskiq_core.wire import pack, unpack
from taskiq_core_brokers_sqlite.connection import Connection
from taskiq_core_brokers_sqlite.statements import as_set, insert_rows
from taskiq_core_result_backends_sqlite.stored import OnDatabase

_FINAL = ", ".join(f"'{status.value}'" for status in TaskStatus if status.is_final)
_GET = "SELECT task_id, body FROM taskiq_records WHERE task_id IN (SELECT value FROM json_each(?))"
_PUT = "REPLACE INTO taskiq_records (task_id, task_name, status, first_at, finished_at, body)"


class SQLiteRecords(OnDatabase, RecordStore):
    """One row per task: the fold of its transitions, and the columns that lists are searched by."""

    async def record(self, transitions: Sequence[Transition]) -> None:
        def fold_in(conn: Connection) -> None:
            folds = _read(conn, list({step.task_id: None for step in transitions}))
            for step in transitions:
                folds.setdefault(step.task_id, RecordFold(step.task_id)).add(step)
            insert_rows(conn, _PUT, 6, [_row(fold) for fold in folds.values()])

        await self.require_database().write(fold_in)

    async def get_records(self, task_ids: Sequence[str]) -> dict[str, TaskRecord]:
        folds = await self.require_database().read(lambda conn: _read(conn, task_ids))
        return {task_id: fold.record() for task_id, fold in folds.items()}

    async def list_records(
        self,
        *,
        task_name: str | None = None,
        status: TaskStatus | None = None,
        since: float | None = None,
        limit: int = 100,
        cursor: str | None = None,
    ) -> RecordPage:
        statement = """SELECT task_id, body FROM taskiq_records
                       WHERE (first_at, task_id) < (?1, ?2) AND first_at >= ?6
                         AND (?3 IS NULL OR task_name = ?3) AND (?4 IS NULL OR status = ?4)
                       ORDER BY first_at DESC, task_id DESC LIMIT ?5"""
        parameters = (*begin_of(cursor), task_name, status.value if status else None, limit + 1, earliest(since))
        rows = await self.require_database().read(lambda conn: conn.execute(statement, parameters).fetchall())
        return page_of([_load(*row) for row in rows], limit)

    async def count_by_status(self, *, since: float | None = None) -> dict[TaskStatus, int]:
        statement = "SELECT status, count(*) FROM taskiq_records WHERE first_at >= ? GROUP BY status"
        parameters = (earliest(since),)
        rows = await self.require_database().read(lambda conn: conn.execute(statement, parameters).fetchall())
        return {TaskStatus(status): count for status, count in rows}

    async def cleanup(self, *, older_than: float) -> int:
        statement = f"DELETE FROM taskiq_records WHERE status IN ({_FINAL}) AND finished_at < ?"  # noqa: S608
        parameters = (time.time() - older_than,)
        return await self.require_database().write(lambda conn: conn.execute(statement, parameters).rowcount)


def _read(conn: sqlite3.Connection, task_ids: Sequence[str]) -> dict[str, RecordFold]:
    rows = conn.execute(_GET, (as_set(task_ids),)).fetchall()
    return {task_id: _load(task_id, body) for task_id, body in rows}


def _row(fold: RecordFold) -> tuple[object, ...]:
    record = fold.record()
    body = pack([getattr(fold, item.name) for item in dataclasses.fields(fold)[1:]])
    return (fold.task_id, record.task_name, record.status.value, fold.first_seen, record.finished_at, body)


def _load(task_id: str, body: bytes) -> RecordFold:
    first_seen, attempts, queued_at, newest, facts = unpack(body)
    return RecordFold(
        task_id,
        first_seen,
        attempts,
        queued_at,
        {kind: (_moment(moment), TaskStatus(status)) for kind, (moment, status) in _items(newest)},
        {name: (_moment(moment), value) for name, (moment, value) in _items(facts)},
    )


def _items(pairs: Mapping[str, tuple[tuple[float, int], str]]) -> list[tuple[str, tuple[tuple[float, int], str]]]:
    return list(pairs.items())


def _moment(moment: tuple[float, int]) -> tuple[float, int]:
    return (moment[0], moment[1])
