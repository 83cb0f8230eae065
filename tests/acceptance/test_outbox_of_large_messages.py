"""What is too much at once for the database of an outbox is moved in smaller batches."""

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import anyio
import pytest
from support.outboxes import relaying

from taskiq_core.abc.subscription import Subscription
from taskiq_core.delivery import Delivery
from taskiq_core.exceptions import BrokerError
from taskiq_core.message import BrokerMessage
from taskiq_core.outbox import Outbox
from taskiq_core.testing.broker_tools import collect, messages, settle
from taskiq_core_brokers_sqlite import SQLiteBroker

pytestmark = pytest.mark.anyio

MOST = 150


class Slow(SQLiteBroker):
    """Cannot hand out more than so many in time."""

    def subscribe(self, queues: Sequence[str], *, prefetch: int | None = None) -> Subscription:
        subscription = super().subscribe(queues, prefetch=prefetch)
        receive = subscription.receive

        async def in_time(limit: int) -> Sequence[Delivery]:
            if limit > MOST:
                raise BrokerError(reason="no answer in time")
            return await receive(limit)

        subscription.receive = in_time  # type: ignore[method-assign]
        return subscription


async def test_batches_shrink_until_they_pass(tmp_path: Path) -> None:
    slow, sent = Slow(tmp_path / "outbox.db"), list[BrokerMessage](messages(2 * MOST))
    async with SQLiteBroker(tmp_path / "jobs.db").with_outbox(slow) as broker:
        assert isinstance(broker.outbox, Outbox)
        with closing(sqlite3.connect(slow.path)) as connection, connection:
            broker.outbox.enlist(connection, sent)
        with anyio.fail_after(30):
            async with relaying(broker), broker.subscribe(["default"]) as subscription:
                await settle(subscription, await collect(subscription, len(sent)))
