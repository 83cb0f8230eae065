"""Laws about messages that come with a transaction of the caller's."""

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from taskiq_core.broker import AsyncBroker
from taskiq_core.capability import Capability
from taskiq_core.message import BrokerMessage
from taskiq_core.testing.broker_tools import (
    DEFAULT,
    BrokerSuite,
    bodies,
    collect,
    messages,
    nothing_comes,
    settle,
    whats_there,
)
from taskiq_core.testing.suite import law

_NEEDS = Capability.TRANSACTIONS


class TransactionLaws(BrokerSuite):
    """What is enlisted is there if and only if the caller commits."""

    @law(_NEEDS)
    async def test_the_enlisted_come_with_the_commit(self, broker: AsyncBroker) -> None:
        """Nobody receives what is enlisted before the commit; then who waits gets all of it, once and unchanged."""
        sent = messages(150)
        async with broker.subscribe(DEFAULT) as subscription:
            async with self.transaction(broker) as connection:
                await _enlist(broker, connection, sent[:1])
                await _enlist(broker, connection, sent[1:])
                await nothing_comes(subscription)
            taken = await collect(subscription, len(sent))
            assert bodies(taken) == bodies(sent)
            await nothing_comes(subscription)
            await settle(subscription, taken)

    @law(_NEEDS)
    async def test_the_enlisted_go_with_a_rollback(self, broker: AsyncBroker) -> None:
        """What was enlisted in a transaction that is rolled back never comes, and what is sent beside it does."""
        beside = messages(2)
        with suppress(_RolledBackError):
            async with self.transaction(broker) as connection:
                await _enlist(broker, connection, messages(3))
                raise _RolledBackError
        await broker.kick_many(beside)
        assert bodies(await whats_there(broker)) == bodies(beside)

    @law(_NEEDS)
    async def test_a_rolled_back_message_can_be_sent_again(self, broker: AsyncBroker) -> None:
        """A rollback leaves nothing behind that would make the next message of that id a second one."""
        sent = messages(2)
        with suppress(_RolledBackError):
            async with self.transaction(broker) as connection:
                await _enlist(broker, connection, sent)
                raise _RolledBackError
        async with self.transaction(broker) as connection:
            await _enlist(broker, connection, sent)
        assert bodies(await whats_there(broker)) == bodies(sent)

    @law(_NEEDS | Capability.QUEUES | Capability.PRIORITY | Capability.DELAY)
    async def test_the_enlisted_are_as_others(self, broker: AsyncBroker) -> None:
        """Queue, priority and delay count for them too."""
        low, high = messages(1, queue="one", priority=1), messages(1, queue="one", priority=8)
        late, elsewhere = messages(1, queue="one", delay=0.5), messages(1, queue="two")
        async with self.transaction(broker) as connection:
            await _enlist(broker, connection, [*low, *late, *elsewhere, *high])
        async with broker.subscribe(["one"]) as subscription:
            taken = await collect(subscription, 2, limit=1)
            assert [item.body for item in taken] == [high[0].message, low[0].message]
            await nothing_comes(subscription, 0.1)
            last = await collect(subscription, 1)
            assert bodies(last) == bodies(late)
            await settle(subscription, [*taken, *last])
        assert bodies(await whats_there(broker, ["two"])) == bodies(elsewhere)

    @law(_NEEDS | Capability.IDEMPOTENT_SEND)
    async def test_enlisting_an_id_again_makes_no_second_message(self, broker: AsyncBroker) -> None:
        """Neither within a transaction, nor where it is queued already; the transaction goes on."""
        queued, new = messages(1), messages(1)
        await broker.kick_many(queued)
        async with self.transaction(broker) as connection:
            await _enlist(broker, connection, queued)
            await _enlist(broker, connection, new)
            await _enlist(broker, connection, new)
        assert bodies(await whats_there(broker)) == bodies([*queued, *new])


class _RolledBackError(Exception):
    pass


async def _enlist(broker: AsyncBroker, connection: Any, sent: Sequence[BrokerMessage]) -> None:
    written = broker.enlist(connection, sent)
    if written is not None:
        await written
