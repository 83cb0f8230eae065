"""Shared state on servers that are gone, and among clients that hang or change everything at once."""

import random
from urllib.parse import urlsplit

import anyio
import pytest
from support.coordinator_stories import CoordinatorStories, opened, wish
from support.postgres_fixtures import StartPostgres
from support.postgres_server import PostgresServer
from support.postgres_servers import shared_postgres
from support.processes import DEADLINE
from support.tcp_proxy import TcpProxy

from taskiq_core.abc.coordinator import AdmissionRequest, Claim, RateLimit, SlotLimit
from taskiq_core.exceptions import ResultBackendError
from taskiq_core_result_backends_postgres import PostgresResultBackend

pytestmark = pytest.mark.anyio


class TestPostgresCoordinator(CoordinatorStories):
    scheme, title = "postgresql", "PostgreSQL"

    @pytest.fixture
    def server(self, start_postgres: StartPostgres) -> PostgresServer:
        return start_postgres()

    @pytest.fixture
    def url(self, server: PostgresServer) -> str:
        return server.url.replace("@", ":s3cret@")


async def test_a_client_that_hangs_keeps_nobody_waiting(backend: PostgresResultBackend, postgres_schema: str) -> None:
    """Not even if it hangs while it waits for the answer: its transaction is over by then."""
    url = f"{shared_postgres().url}?schema={postgres_schema}"
    port = urlsplit(url).port
    assert port is not None
    with TcpProxy(port) as proxy:
        async with opened(url.replace(f":{port}", f":{proxy.port}")) as slow:
            await slow.get(["k"])
            async with anyio.create_task_group() as group:

                async def admit_slowly() -> None:
                    with pytest.raises(ResultBackendError):
                        await slow.admit([wish("slow")])

                group.start_soon(admit_slowly)
                await anyio.wait_all_tasks_blocked()
                proxy.black_hole()
                with anyio.fail_after(4):  # the client gives up after five seconds
                    await backend.admit([wish("a")])
                group.cancel_scope.cancel()
            proxy.resume()


async def test_batches_over_the_same_keys_wait_for_one_another_in_one_order(
    backend: PostgresResultBackend, postgres_schema: str
) -> None:
    """Two clients do everything at once to the same keys, each in an order of its own: no deadlock, no lost answer."""
    keys = [f"k{number}" for number in range(12)]

    async def go(store: PostgresResultBackend, seed: int) -> None:
        dice = random.Random(seed)
        for _ in range(12):
            mine = dice.sample(keys, 6)
            await store.claim([Claim(key, str(seed), 60) for key in mine])
            await store.admit([AdmissionRequest(str(seed), 60, [SlotLimit(key, 3)], [RateLimit(key, 9, 1, 1)]) for key in mine])
            await store.put({key: dice.choice([None, b"1"]) for key in mine})
            await store.add(dict.fromkeys(mine, 1), 60)
            await store.arrive(mine[0], mine, 6, 60)
            await store.leave([(str(seed), SlotLimit(key, 3)) for key in mine])
            await store.release([(key, str(seed)) for key in mine])
            await store.forget(mine[:2])

    async with opened(f"{shared_postgres().url}?schema={postgres_schema}") as other:
        with anyio.fail_after(DEADLINE):
            async with anyio.create_task_group() as group:
                for seed in range(6):
                    group.start_soon(go, (backend, other)[seed % 2], seed)


async def test_a_server_whose_transactions_are_serializable_by_default(start_postgres: StartPostgres) -> None:
    """Who has waited for a lock would see what was before, and be refused."""
    server = start_postgres("default_transaction_isolation = serializable")
    totals: list[int] = []

    async def count(backend: PostgresResultBackend) -> None:
        for _ in range(20):
            totals.append((await backend.add({"k": 1}, 60))["k"])

    async with opened(server.url) as one, opened(server.url) as two:
        async with anyio.create_task_group() as group:
            for backend in (one, two, one, two):
                group.start_soon(count, backend)
    assert sorted(totals) == list(range(1, 81))
