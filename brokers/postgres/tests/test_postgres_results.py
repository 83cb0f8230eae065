"""Results that are stored in the step that settles their messages."""

from dataclasses import dataclass

import pytest
from support.postgres_servers import shared_postgres

from taskiq_core.delivery import Settlement, StoredResult, Verdict
from taskiq_core.testing.broker_tools import collect, messages, whats_there
from taskiq_core_brokers_postgres import Location, PostgresBroker, locate

pytestmark = pytest.mark.anyio


@dataclass
class Backend:
    """What `stores_results_of` asks of a result backend."""

    location: Location
    result_ttl: float | None


async def test_results_are_stored_with_the_acknowledgement(postgres_schema: str) -> None:
    url = shared_postgres().url
    async with PostgresBroker(url, schema=postgres_schema) as broker:
        await broker.kick_many(messages(3))
        async with broker.subscribe(["default"]) as subscription:
            assert not subscription.stores_results_of(Backend(locate(url, "elsewhere"), None))
            assert subscription.stores_results_of(Backend(locate(url, postgres_schema), 60.0))
            one, two, three = await collect(subscription, 3)
            batch = [
                Settlement(one, Verdict.ACK, result=StoredResult("one", b"\x00\xff")),
                Settlement(two, Verdict.REJECT, reason="bad", result=StoredResult("two", b"", ttl=3600.0)),
                Settlement(three, Verdict.ACK),
            ]
            await subscription.settle(batch)
            batch[0].result = StoredResult("one", b"newer")
            await subscription.settle(batch)
        assert await whats_there(broker) == []
        assert len(await broker.dead.list()) == 1
    rows = shared_postgres().ask(
        f"SELECT task_id, body, round(extract(epoch FROM expires - now()))::int FROM {postgres_schema}.results ORDER BY 1"
    )
    assert [tuple(row[:2]) for row in rows] == [("one", b"newer"), ("two", b"")]
    assert [row[2] in range(least, least + 61) for row, least in zip(rows, (0, 3540), strict=True)] == [True, True]
