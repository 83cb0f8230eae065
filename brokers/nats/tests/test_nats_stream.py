"""Messages of a stream by their numbers."""

import pytest

from taskiq_core.message import BrokerMessage
from taskiq_core.testing.broker_tools import messages
from taskiq_core_brokers_nats import NatsBroker
from taskiq_core_brokers_nats.stream import Stored, delete, read_all, read_on

pytestmark = pytest.mark.anyio


async def pages(broker: NatsBroker, stream: str, subjects: str) -> list[Stored]:
    found: list[Stored] = []
    while page := await read_on(broker._connection, stream, subjects, int(found[-1]["seq"]) + 1 if found else 1):
        found += page
    return found


async def test_pages_have_all_that_is_on_the_subjects(nats_url: str, nats_prefix: str) -> None:
    """In their order, whatever lies between them, and more than are asked for at once."""
    async with NatsBroker(nats_url, prefix=nats_prefix) as broker:
        ours: list[BrokerMessage] = []
        for others in (1, 0, 3, 80, 0, 2):
            some = messages(20)
            await broker.kick_many([*some, *messages(others, queue="other")])
            ours += some
        stream, subjects = f"{nats_prefix}-queues", f"{nats_prefix}.q.default.5.*"
        found = await pages(broker, stream, subjects)
        assert [message["subject"].rpartition(".")[2] for message in found] == [item.task_id for item in ours]
        gone = [int(message["seq"]) for message in found[5:60]]
        assert await delete(broker._connection, stream, [*gone, 10**6]) == len(gone)
        assert await pages(broker, stream, subjects) == found[:5] + found[60:]
        assert await read_all(broker._connection, stream, [gone[0], int(found[0]["seq"])]) == [None, found[0]]
