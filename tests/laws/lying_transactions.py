"""Brokers whose messages come with a transaction: an honest one, and liars. The transaction is a list until its end."""

from collections.abc import AsyncGenerator, Awaitable, Sequence
from contextlib import asynccontextmanager
from typing import Any

from taskiq_core.brokers.inmemory import InMemoryBroker
from taskiq_core.capability import Capability
from taskiq_core.message import BrokerMessage


@asynccontextmanager
async def transaction(broker: Any) -> AsyncGenerator[list[BrokerMessage]]:
    """What was put into it is sent at its end, unless there is an error."""
    written: list[BrokerMessage] = []
    yield written
    await broker.kick_many(written)


class TransactingBroker(InMemoryBroker):
    """Honest."""

    capabilities = InMemoryBroker.capabilities | Capability.TRANSACTIONS

    def enlist(self, connection: Any, messages: Sequence[BrokerMessage]) -> Awaitable[None] | None:
        connection.extend(messages)
        return None


class SendsAtOnce(TransactingBroker):
    def enlist(self, connection: Any, messages: Sequence[BrokerMessage]) -> Awaitable[None] | None:
        return self.kick_many(messages)


class KeepsTheLast(TransactingBroker):
    def enlist(self, connection: Any, messages: Sequence[BrokerMessage]) -> Awaitable[None] | None:
        connection[:] = messages
        return None


class RemembersTheRolledBack(TransactingBroker):
    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.known: set[str] = set()

    def enlist(self, connection: Any, messages: Sequence[BrokerMessage]) -> Awaitable[None] | None:
        connection.extend(item for item in messages if item.task_id not in self.known)
        self.known.update(item.task_id for item in messages)
        return None


class ForgetsTerms(TransactingBroker):
    def enlist(self, connection: Any, messages: Sequence[BrokerMessage]) -> Awaitable[None] | None:
        connection.extend(item.model_copy(update={"delay": None, "priority": None}) for item in messages)
        return None


class MakesSeconds(TransactingBroker):
    def enlist(self, connection: Any, messages: Sequence[BrokerMessage]) -> Awaitable[None] | None:
        connection.extend(item.model_copy(update={"task_id": f"{item.task_id}-{len(connection)}"}) for item in messages)
        return None


LIARS = (
    (SendsAtOnce, "the_enlisted_come_with_the_commit"),
    (SendsAtOnce, "the_enlisted_go_with_a_rollback"),
    (KeepsTheLast, "the_enlisted_come_with_the_commit"),
    (RemembersTheRolledBack, "a_rolled_back_message_can_be_sent_again"),
    (ForgetsTerms, "the_enlisted_are_as_others"),
    (MakesSeconds, "enlisting_an_id_again_makes_no_second_message"),
)
