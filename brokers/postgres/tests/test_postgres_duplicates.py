"""Rows are inserted without looking for older ones; where there are some, it is done again with care, and so for a while."""

import pytest
from support.postgres_fixtures import StartPostgres
from support.postgres_servers import ask

from taskiq_core.delivery import Settlement, StoredResult, Verdict
from taskiq_core.testing.broker_tools import bodies, collect, messages, whats_there
from taskiq_core_brokers_postgres import PostgresBroker
from taskiq_core_result_backends_postgres import PostgresResultBackend

pytestmark = pytest.mark.anyio


async def test_ids_that_wait_already_are_passed_over_in_a_batch_of_others(start_postgres: StartPostgres) -> None:
    server = start_postgres()
    async with PostgresBroker(server.url) as broker:
        old, new = messages(3), messages(4)
        await broker.kick_many(old)
        for _ in range(3):
            await broker.kick_many([*old, *new, *new])
        assert bodies(await whats_there(broker)) == bodies([*old, *new])
    assert server.process.output.count("ERROR:  duplicate key") == 1


async def test_results_that_are_there_are_replaced_in_a_batch_of_others(start_postgres: StartPostgres) -> None:
    server = start_postgres()
    backend = PostgresResultBackend(server.url)
    async with PostgresBroker(server.url, backend) as broker, broker.subscribe(["default"]) as subscription:
        assert subscription.stores_results_of(backend)
        for turn in (b"first", b"second", b"third"):
            await broker.kick_many(messages(3))
            held = await collect(subscription, 3)
            results = [StoredResult(task_id, turn) for task_id in ("same", turn.decode(), "same")]
            await subscription.settle(
                [Settlement(item, Verdict.ACK, result=result) for item, result in zip(held, results, strict=True)]
            )
        assert await whats_there(broker) == []
    rows = ask(server.url, "SELECT task_id, body FROM taskiq.results")
    assert dict(rows) == {"same": b"third", "first": b"first", "second": b"second", "third": b"third"}
    assert server.process.output.count("ERROR:  duplicate key") == 1
