"""A broker in one file."""

from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any, ClassVar, Final, Self

from taskiq_core.abc.queue_admin import QueueAdmin
from taskiq_core.abc.result_backend import AsyncResultBackend
from taskiq_core.abc.subscription import Subscription
from taskiq_core.broker import AsyncBroker
from taskiq_core.capability import Capability
from taskiq_core.defaults import DEFAULT_LEASE, SEND_TIMEOUT
from taskiq_core.exceptions import BrokerError, MessageRefusedError, SendTaskError
from taskiq_core.message import BrokerMessage
from taskiq_core.url_options import positive_seconds, refuse_unknown
from taskiq_core_brokers_sqlite.admin import SQLiteAdmin
from taskiq_core_brokers_sqlite.connection import Connection
from taskiq_core_brokers_sqlite.database import Database
from taskiq_core_brokers_sqlite.doorbell import queue_channel
from taskiq_core_brokers_sqlite.errors import DatabaseError
from taskiq_core_brokers_sqlite.location import file_path, split_url
from taskiq_core_brokers_sqlite.owner import OwnsFile
from taskiq_core_brokers_sqlite.sending import COLUMNS, CONFLICT, INSERT, rows_of
from taskiq_core_brokers_sqlite.statements import insert_rows
from taskiq_core_brokers_sqlite.subscription import SQLiteSubscription
from taskiq_core_brokers_sqlite.transactions import enlist

_OPTIONS: Final = {
    "lease": positive_seconds,
    "send_timeout": positive_seconds,
    "poll_interval": positive_seconds,
    "dead_ttl": positive_seconds,
}
_POLL_WITH_BELLS = 0.25
_POLL_WITHOUT = 0.05


class SQLiteBroker(OwnsFile, AsyncBroker):
    """Queues in an SQLite file, for any number of producer and worker processes on one machine.

    :param url_or_path: the file, or `sqlite:///relative.db`, `sqlite:////absolute.db`; made if it does not exist.
    :param lease: seconds until a delivery that nobody extends goes to somebody else.
    :param send_timeout: seconds to wait while another program locks the file; then the send is refused.
    :param poll_interval: seconds after which a waiting worker looks for itself, should nobody have woken it.
    :param dead_ttl: seconds that dead letters are kept, then workers delete them; None: for ever.
    """

    capabilities = (
        Capability.ACK
        | Capability.DURABLE
        | Capability.LEASE
        | Capability.DELAY
        | Capability.PRIORITY
        | Capability.QUEUES
        | Capability.DEAD_LETTER
        | Capability.BATCH
        | Capability.IDEMPOTENT_SEND
        | Capability.JOINT_SETTLE
        | Capability.PARK
        | Capability.DISCARD
        | Capability.EVACUATE
        | Capability.TRANSACTIONS
        | Capability.CROSS_PROCESS
    )

    url_options: ClassVar[frozenset[str]] = frozenset(_OPTIONS)
    """What the query of a URL may say."""

    def __init__(
        self,
        url_or_path: str | Path,
        result_backend: AsyncResultBackend[Any] | None = None,
        task_id_generator: Callable[[], str] | None = None,
        *,
        lease: float = DEFAULT_LEASE,
        send_timeout: float = SEND_TIMEOUT,
        poll_interval: float | None = None,
        dead_ttl: float | None = None,
    ) -> None:
        super().__init__(result_backend, task_id_generator)
        self.path = file_path(url_or_path)
        self._lease = positive_seconds("lease", lease)
        self.send_timeout = positive_seconds("send_timeout", send_timeout)
        self._poll_interval = None if poll_interval is None else positive_seconds("poll_interval", poll_interval)
        self._dead_ttl = None if dead_ttl is None else positive_seconds("dead_ttl", dead_ttl)
        self._database: Database | None = None
        self.admin: QueueAdmin | None = SQLiteAdmin(self._require_database, self._dead_ttl)

    @classmethod
    def from_url(cls, url: str, **options: Any) -> Self:
        path, in_url = split_url(url, _OPTIONS)
        refuse_unknown(options, (*cls.url_options, "result_backend", "task_id_generator"), "The SQLite URL")
        return cls(path, **{**in_url, **options})

    async def startup(self) -> None:
        if self._database is None or not self._database.usable:
            self._database = await Database.open(self.path)
        await super().startup()

    async def shutdown(self) -> None:
        try:
            await super().shutdown()
        finally:
            database, self._database = self._database, None
            if database is not None:
                await database.close()

    async def kick_many(self, messages: Sequence[BrokerMessage]) -> None:
        try:
            database = self._require_database()
            await database.write(lambda conn: _insert(conn, messages), timeout=self.send_timeout)
        except (TypeError, ValueError, ArithmeticError) as error:  # from making rows of them: nothing was written
            raise MessageRefusedError(reason=f"it cannot be stored: {error}") from error
        except BrokerError as error:
            if isinstance(error, DatabaseError) and error.of_data:
                raise MessageRefusedError(reason=str(error)) from error
            certain = not isinstance(error, DatabaseError) or error.certain
            raise SendTaskError(reason=str(error), outcome="refused" if certain else "unknown") from error

    def enlist(self, connection: Any, messages: Sequence[BrokerMessage]) -> Awaitable[None] | None:
        """See `AsyncBroker`. Takes connections of sqlite3, aiosqlite and SQLAlchemy, and SQLAlchemy's sessions.

        Workers find what was committed by looking, `poll_interval` seconds later at most, as no driver tells of a commit.
        """
        return enlist(connection, self.path, messages)

    def subscribe(self, queues: Sequence[str], *, prefetch: int | None = None) -> Subscription:
        return SQLiteSubscription(self._require_database, queues, self._lease, self._floor(), self._dead_ttl)

    def _floor(self) -> float:
        if self._poll_interval is not None:
            return self._poll_interval
        works = self._database is not None and self._database.doorbell.works
        return _POLL_WITH_BELLS if works else _POLL_WITHOUT

    def _require_database(self) -> Database:
        if self._database is None:
            raise BrokerError(reason=f"the SQLite broker of {self.path} is not started: call `await broker.startup()` first.")
        return self._database


def _insert(conn: Connection, messages: Sequence[BrokerMessage]) -> None:
    rows = rows_of(messages)
    insert_rows(conn, INSERT, COLUMNS, rows, CONFLICT)
    conn.ring(*{queue_channel(row[1]) for row in rows})
