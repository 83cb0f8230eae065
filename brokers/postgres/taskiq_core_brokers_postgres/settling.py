"""Carrying out verdicts: a batch is one statement, or a transaction where the verdicts are of several kinds."""

# ruff: noqa: S608 - what is put into statements here are constants of ours, and names that `locate` checked

from collections.abc import Sequence
from operator import itemgetter
from typing import Any

from taskiq_core.delivery import Delivery, Settlement, StoredResult, Verdict
from taskiq_core.portable_text import made_portable
from taskiq_core_brokers_postgres import parking
from taskiq_core_brokers_postgres.bell import RING
from taskiq_core_brokers_postgres.claiming import arrays
from taskiq_core_brokers_postgres.database import Database, Transaction
from taskiq_core_brokers_postgres.dead_letters import BURY
from taskiq_core_brokers_postgres.duplicates import HopefulInsert
from taskiq_core_brokers_postgres.results_table import columns_of, store
from taskiq_core_brokers_postgres.schema import DELAYED, READY

_DONE = """DELETE FROM taskiq.messages AS done USING unnest($1::text[], $2::bigint[]) AS given(task_id, hold)
           WHERE done.task_id = given.task_id AND done.hold = given.hold"""
_DONE_OF_STORED = f"done AS ({_DONE.replace('$2', '$5')})"
_DONE_AND_STORE = store(_DONE_OF_STORED)
_DONE_AND_STORE_NEW = store(_DONE_OF_STORED, replace=False)
# A retry goes to the end of its queue, so that it cannot starve what it may be waiting for; a release does not.
_BACK = f"""WITH touched AS (
    UPDATE taskiq.messages AS back SET hold = 0, worker = 0, body = coalesce(given.body, back.body),
        state = CASE WHEN given.delay > 0 THEN {DELAYED} ELSE {READY} END,
        due = CASE WHEN given.delay > 0 THEN now() + given.delay * interval '1 second' END,
        place = CASE WHEN given.last THEN nextval('taskiq.places') ELSE back.place END
    FROM unnest($1::text[], $2::bigint[], $3::float8[], $4::boolean[], $5::bytea[]) AS given(task_id, hold, delay, last, body)
    WHERE back.task_id = given.task_id AND back.hold = given.hold RETURNING back.queue) {RING}"""


def new_insert() -> HopefulInsert:
    """For `Settling`, of one subscription."""
    return HopefulInsert(_DONE_AND_STORE_NEW, _DONE_AND_STORE)


class Settling:
    """One batch, sorted by what is to be done. What is no longer held is left alone, but for its result."""

    def __init__(self, settlements: Sequence[Settlement], result_ttl: float | None) -> None:
        self._result_ttl = result_ttl
        self._results: list[StoredResult] = []
        self._done: list[Delivery] = []
        self._dead: list[Settlement] = []
        self._back: list[Settlement] = []
        self._parked: list[Settlement] = []
        for item in settlements:
            if item.result is not None:
                self._results.append(item.result)
            if item.verdict is Verdict.ACK:
                self._done.append(item.delivery)
            elif item.verdict is Verdict.REJECT:
                self._dead.append(item)
            elif item.verdict is Verdict.RELEASE and item.park is not None and item.delay:
                self._parked.append(item)
            else:
                self._back.append(item)

    @property
    def gives_back(self) -> bool:
        """Whether something returns to its queue."""
        return bool(self._back)

    async def carry_out(self, database: Database, insert: HopefulInsert) -> None:
        """All of it, or nothing."""
        steps = self._steps()
        if len(steps) == 1 and self._results and not self._parked:
            await insert.run(database, *steps[0][1:])
            return
        if len(steps) == 1 and not self._parked:
            await database.fetch(*steps[0])
            return
        async with database.transaction() as work:
            await self._in(work, steps)

    async def _in(self, work: Transaction, steps: Sequence[tuple[Any, ...]]) -> None:
        if self._parked:  # its lock comes before those of rows
            await parking.park(work, self._parked)
        for step in steps:
            await work.fetch(*step)

    def _steps(self) -> list[tuple[Any, ...]]:
        """Statements with their arguments."""
        steps: list[tuple[Any, ...]] = []
        if self._results:
            # A message and its result are one row. Of two deliveries of one message only the later can still hold it.
            holds = dict(sorted(zip(*arrays(self._done), strict=True), key=itemgetter(1)))
            columns = columns_of(self._results, self._result_ttl, holds)
            steps.append((_DONE_AND_STORE, *columns, [holds.get(task_id) for task_id in columns[0]]))
        elif self._done:
            steps.append((_DONE, *arrays(self._done)))
        if self._dead:
            told = [(made_portable(item.reason or "rejected"), item.detail, item.body) for item in self._dead]
            steps.append(
                (BURY, *arrays([item.delivery for item in self._dead]), *([*column] for column in zip(*told, strict=True)))
            )
        if self._back:
            terms = [(float(item.delay or 0), item.verdict is Verdict.RETRY, item.body) for item in self._back]
            steps.append(
                (_BACK, *arrays([item.delivery for item in self._back]), *([*column] for column in zip(*terms, strict=True)))
            )
        return steps
