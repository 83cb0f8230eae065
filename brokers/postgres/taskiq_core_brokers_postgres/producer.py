"""Sending: each batch is numbered, so that one whose answer was lost can be sent again without making a second one."""

# ruff: noqa: S608 - what is put into statements here are constants of ours, and names that `locate` checked

import asyncio
import contextlib
import itertools
import math
import random
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from taskiq_core.defaults import DEFAULT_PRIORITY, DEFAULT_QUEUE
from taskiq_core.exceptions import MessageHeldUpError, MessageRefusedError
from taskiq_core.message import BrokerMessage
from taskiq_core.server_retries import send_until_accepted
from taskiq_core_brokers_postgres.bell import RING
from taskiq_core_brokers_postgres.database import Database
from taskiq_core_brokers_postgres.duplicates import HopefulInsert
from taskiq_core_brokers_postgres.errors import PostgresError
from taskiq_core_brokers_postgres.schema import DELAYED, READY

_HELD_UP_BY = "another transaction, which has not ended, has sent this id, or one of this batch: send when it has ended ({})."
_PAUSE = 0.1
"""Seconds between two tries."""
_MARGIN = 0.1
"""Seconds that an answer needs to those who wait for it."""
_LOCK_WAIT, _SHORT_LOCK_WAIT = 0.2, 0.02
"""Seconds that a send waits for somebody else's transaction, which has written one of its ids: so long, while it is rare."""
_HELD_UP = 5.0
"""Seconds for which it is no longer rare."""
T = TypeVar("T")
Columns = tuple[list[Any], ...]
_STATEMENT = 8 << 20
"""Bytes of bodies in one statement; only a message that has more is alone in one that has more."""

# An array of one is for all: `unnest` fills it up with NULL. Times are of the moment, not of the beginning of a transaction,
# which is the caller's and may be long.
_DELAY = "coalesce(delay, ($4::float8[])[1])"
_INSERT = f"""INSERT INTO taskiq.messages (task_id, queue, priority, state, due, place, body)
    SELECT task_id, coalesce(queue, ($2::text[])[1]), coalesce(priority, ($3::smallint[])[1]),
           CASE WHEN {_DELAY} > 0 THEN {DELAYED} ELSE {READY} END,
           CASE WHEN {_DELAY} > 0 THEN clock_timestamp() + {_DELAY} * interval '1 second' END, nextval('taskiq.places'), body
    FROM unnest($1::text[], $2::text[], $3::smallint[], $4::float8[], $5::bytea[])
        AS sent(task_id, queue, priority, delay, body)"""
_RING = f"touched AS (SELECT unnest($2::text[]) AS queue) {RING}"

# Tables of that name in another database are somebody else's: without a place the row is refused.
_INSERT_HERE = _INSERT.replace(
    "nextval('taskiq.places')",
    """CASE WHEN $6::text IS NULL OR EXISTS (SELECT FROM taskiq.schema_versions WHERE installation = $6::text)
           THEN nextval('taskiq.places') END""",
)
INSTALLATION = "SELECT installation FROM taskiq.schema_versions WHERE version = 1"
"""What `INSERT` recognises the tables by."""

INSERT = f"WITH added AS ({_INSERT_HERE} ON CONFLICT (task_id) DO NOTHING), {_RING}"
"""For the caller's own transaction, whose commit is the caller's to repeat; the last argument is the installation, or None."""

_SEND = f"""WITH first_time AS (
        INSERT INTO taskiq.producers AS known (id, batch, at)
        SELECT $6, $7, now() WHERE set_config('lock_timeout', $8, true) IS NOT NULL
        ON CONFLICT (id) DO UPDATE SET batch = excluded.batch, at = excluded.at WHERE known.batch < excluded.batch
        RETURNING id),
    added AS ({_INSERT} WHERE EXISTS (SELECT FROM first_time) {{}}), {_RING}"""
_SEND_NEW, _SEND_ANY = _SEND.format(""), _SEND.format("ON CONFLICT (task_id) DO NOTHING")

_SWEEP = "DELETE FROM taskiq.producers WHERE at < now() - interval '1 day' OR id = ANY($1::bigint[])"


class Producer:
    """Sends batches; several at the same time each under a name of their own, whose numbers only grow."""

    def __init__(self, database: Database, timeout: float) -> None:
        self._database = database
        self._timeout = timeout
        self._held_up_at = -math.inf
        self._tries_one = False
        self._free: list[int] = []
        self._all: list[int] = []
        self._numbers = itertools.count(1)
        self._insert = HopefulInsert(_SEND_NEW, _SEND_ANY)

    async def send(self, messages: Sequence[BrokerMessage], seconds: float = math.inf) -> None:
        """All accepted, or raises. A batch whose answer is lost is sent again, until the time is over.

        :raises MessageHeldUpError: if another transaction, which has not ended, has written one of the ids.
        :raises SendTaskError: its outcome is "unknown" if one of the tries may have taken effect.
        """
        parts = _parts(columns_of(messages))
        if not messages:
            return
        async with self._name() as name:
            steps = [(*columns, name, next(self._numbers)) for columns in parts]
            certain = True

            async def attempt() -> None:
                nonlocal certain
                try:
                    await self._write(steps)
                except PostgresError as error:
                    certain &= error.certain
                    if error.held_up:
                        self._held_up_at = time.monotonic()
                    if error.held_up and certain:
                        raise MessageHeldUpError(reason=_HELD_UP_BY.format(error.reason)) from error
                    if error.of_data:
                        raise MessageRefusedError(reason=error.reason) from error
                    raise

            await send_until_accepted(attempt, min(self._timeout, seconds), f"PostgreSQL at {self._database.location.server}")

    async def _write(self, steps: Sequence[tuple[Any, ...]]) -> None:
        """All of it or nothing. After it has been done, which the last number tells, doing it again does nothing."""
        if len(steps) == 1:
            await self._insert.run(self._database, *steps[0], self._lock_timeout())
            return
        async with self._database.transaction() as work:
            for step in steps:
                await work.fetch(_SEND_ANY, *step, self._lock_timeout())

    async def send_when_free(self, message: BrokerMessage, seconds: float, failure: MessageHeldUpError) -> None:
        """Try for so long to send one that is held up; one such at a time, so that others find free connections.

        Raises as `send`; `failure` if there was no time to try.
        """
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > _LOCK_WAIT + 2 * _MARGIN:
            if not self._tries_one:
                self._tries_one = True
                try:
                    return await self.send([message], left)
                except MessageHeldUpError as error:
                    failure = error
                finally:
                    self._tries_one = False
            await asyncio.sleep(random.uniform(_PAUSE / 2, _PAUSE))
        raise failure

    def _lock_timeout(self) -> str:
        rare = time.monotonic() - self._held_up_at > _HELD_UP
        return f"{1000 * (_LOCK_WAIT if rare else _SHORT_LOCK_WAIT):.0f}ms"

    async def close(self, timeout: float) -> None:
        """Delete the rows of our names, and those of senders that died long ago; if that takes too long, others will."""
        names, self._free, self._all = self._all, [], []
        if names:
            with contextlib.suppress(PostgresError, TimeoutError):
                async with asyncio.timeout(timeout):
                    await self._database.fetch(_SWEEP, names)

    @asynccontextmanager
    async def _name(self) -> AsyncGenerator[int, None]:
        if self._free:
            name = self._free.pop()
        else:
            name = random.getrandbits(62)
            self._all.append(name)
        try:
            yield name
        finally:
            self._free.append(name)


def columns_of(messages: Sequence[BrokerMessage]) -> Columns:
    """The arguments of `INSERT`; where all have the same queue, priority or delay, that stands there once.

    :raises MessageRefusedError: for one that is not what it should be.
    """
    for item in messages:
        if not isinstance(item.message, bytes):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise MessageRefusedError(reason=f"its body is {type(item.message).__name__}, not bytes")
    return (
        [item.task_id for item in messages],
        _once([item.queue or DEFAULT_QUEUE for item in messages]),
        _once([DEFAULT_PRIORITY if item.priority is None else item.priority for item in messages]),
        _once([float(item.delay or 0) for item in messages]),
        [item.message for item in messages],
    )


def _once(values: list[T]) -> list[T]:
    return values[:1] if values and values.count(values[0]) == len(values) else values


def _parts(columns: Columns) -> list[Columns]:
    """The columns cut into those of one statement each."""
    bodies = columns[-1]
    if sum(map(len, bodies)) <= _STATEMENT:
        return [columns]
    cuts, size = [0], 0
    for place, body in enumerate(bodies):
        size += len(body)
        if size > _STATEMENT and place > cuts[-1]:
            cuts.append(place)
            size = len(body)
    return [
        tuple(column if len(column) == 1 else column[begin:end] for column in columns)
        for begin, end in itertools.pairwise([*cuts, len(bodies)])
    ]
