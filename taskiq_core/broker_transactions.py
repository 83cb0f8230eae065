"""Sending as part of the caller's transaction."""

import logging
from collections.abc import Awaitable, Callable, Generator, Sequence
from contextlib import contextmanager
from typing import Any, Self

from taskiq_core.capability import Capability
from taskiq_core.exceptions import ConfigurationError, UnsupportedOptionError
from taskiq_core.labels import check_queue
from taskiq_core.message import BrokerMessage
from taskiq_core.outbox import OUTBOX_QUEUE, Keeper, Outbox
from taskiq_core.server_error import ServerError
from taskiq_core.transactions import sending_within

logger = logging.getLogger("taskiq.outbox")


class BrokerTransactions:
    """The part of a broker that has to do with transactions."""

    capabilities: Capability
    is_worker_process: bool
    outbox: Outbox | None = None
    """Where messages sent within a transaction wait for a relay, on brokers that are no database."""

    async def reaches(self, connect: Callable[[], Awaitable[None]]) -> bool:
        """For the `startup` of a plugin: await `connect`; False if its server is away, and who starts can do without it.

        That is who only sends and has an outbox. The plugin connects later then, at the first use.

        :raises ServerError: what `connect` raises, in workers, without an outbox, and where trying again would not help.
        """
        try:
            await connect()
        except ServerError as error:
            if self.outbox is None or self.is_worker_process or not error.passing:
                raise
            reason = str(error) if str(error).endswith((".", "?")) else f"{error}."
            logger.warning("%s Started without it: what is sent within transactions waits in the outbox.", reason)
            return False
        return True

    def enlist(self, connection: Any, messages: Sequence[BrokerMessage]) -> Awaitable[None] | None:
        """Put messages into the broker as part of the transaction of `connection`; on brokers with `TRANSACTIONS`.

        Done when it returns None, or else when the answer has been awaited. Nothing is done before that, and nothing in
        another thread. Needs no started broker.

        :raises SendTaskError: for what the database says; the caller's transaction has failed then.
        :raises ConfigurationError: for a connection of an unknown kind, of another database, or without a transaction.
        """
        raise NotImplementedError

    @contextmanager
    def within(self, connection: Any) -> Generator[None]:
        """Everything that this block sends through this broker is sent if and only if the transaction of `connection` commits.

        Sends are statements on the connection: `await task.kiq(...)` on any, and `task.kiq_sync(...)` on one that is
        synchronous. What is unique, debounced, throttled or has an idempotency key is refused. What the block starts
        (tasks, threads) belongs to it, and cannot send after its end.

        :param connection: of the database of this broker, or of its outbox, with a transaction begun; the broker's own page
            says which kinds. Nobody else may use it meanwhile.
        :raises UnsupportedOptionError: if the broker is no database, and has no outbox.
        """
        if self.outbox is None and Capability.TRANSACTIONS not in self.capabilities:
            raise UnsupportedOptionError(
                subject="A send",
                option="within(connection)",
                provider=type(self).__name__,
                capability="TRANSACTIONS",
                remedy="Give it an outbox in the database of the connection, with_outbox(PostgresBroker(...)) or "
                "with_outbox(SQLiteBroker(...)), or send after the commit.",
            )
        with sending_within(self, connection, self.enlist if self.outbox is None else self.outbox.enlist):
            yield

    def with_outbox(self, broker: Keeper, *, queue: str = OUTBOX_QUEUE) -> Self:
        """Have `within` write to the tables of another broker, from where workers move messages to this one.

        This broker starts and stops the other. Two brokers whose outboxes are in the same tables need queues of their own.

        :raises ConfigurationError: for a broker that has no transactions.
        """
        if Capability.TRANSACTIONS not in broker.capabilities:
            reason = f"{type(broker).__name__} has no transactions: an outbox is a PostgresBroker or an SQLiteBroker."
            raise ConfigurationError(reason=reason)
        if id(broker) == id(self):
            raise ConfigurationError(reason=f"{type(self).__name__} has transactions of its own, and needs no outbox.")
        self.outbox = Outbox(broker, check_queue(queue))
        return self
