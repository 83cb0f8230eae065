"""Shared state on servers that are gone, and among clients that hang or change everything at once."""

import random

import anyio
import anyio.to_thread
import pytest
from support.postgres_fixtures import StartPostgres
from support.postgres_servers import shared_postgres
from support.processes import DEADLINE
from support.tcp_proxy import TcpProxy

from taskiq_core.abc.coordinator import AdmissionRequest, Claim, RateLimit, SlotLimit
from taskiq_core.exceptions import ResultBackendError
from taskiq_core_result_backends_postgres import PostgresResultBackend

pytestmark = pytest.mark.anyio

SLOTS = SlotLimit("k", 1, setting="k")


def wish(holder: str) -> AdmissionRequest:
    """A slot of two, and one start."""
    return AdmissionRequest(holder, 60, [SLOTS], [RateLimit("k", 1, 60, 60), RateLimit("l", 5, 60, 60)])


async def use(backend: PostgresResultBackend) -> None:
    """All steps once, each with the answer of an empty store."""
    assert await backend.claim([Claim("k", "a", 60), Claim("k", "b", 60)]) == [True, False]
    await backend.release([("k", "a")])
    assert await backend.holders(["k", "l"]) == {}
    await backend.put({"k": b"2", "l": None})
    assert await backend.get(["k", "l"]) == {"k": b"2"}
    assert [answer.granted for answer in await backend.admit([wish("a"), wish("b"), wish("c")])] == [True, False, False]
    assert await backend.leave([("a", SLOTS), ("b", SLOTS)]) == [2, 2]
    assert await backend.add({"k": 1, "l": 2}, 60) == {"k": 1, "l": 2}
    assert await backend.arrive("k", ["a"], 1, 60)
    await backend.forget(["k", "l"])


async def started(url: str, schema: str = "taskiq") -> PostgresResultBackend:
    backend: PostgresResultBackend = PostgresResultBackend(url, schema=schema)
    await backend.startup()
    return backend


async def test_a_server_that_is_gone_is_named_in_the_error(start_postgres: StartPostgres) -> None:
    server = start_postgres()
    backend = await started(server.url.replace("@", ":s3cret@"))
    await use(backend)
    await anyio.to_thread.run_sync(server.stop)
    for asked in (backend.claim([Claim("k", "a", 60)]), backend.admit([wish("a")]), backend.forget(["k"])):
        with pytest.raises(ResultBackendError, match=f"PostgreSQL at .*{server.port}.* cannot be reached") as raised:
            await asked
        assert "s3cret" not in str(raised.value)
    await anyio.to_thread.run_sync(server.restart)
    with anyio.fail_after(DEADLINE):
        while not await answers(backend):  # for a moment the last error is given again
            await anyio.sleep(0.01)
    await use(backend)
    await backend.shutdown()


async def answers(backend: PostgresResultBackend) -> bool:
    try:
        await backend.forget(["k"])
    except ResultBackendError:
        return False
    return True


async def test_a_backend_that_is_not_started_says_so() -> None:
    backend: PostgresResultBackend = PostgresResultBackend()
    for asked in (backend.claim([Claim("k", "a", 60)]), backend.admit([wish("a")]), backend.forget(["k"])):
        with pytest.raises(ResultBackendError, match="is not started"):
            await asked


async def test_a_client_that_hangs_keeps_nobody_waiting(backend: PostgresResultBackend, postgres_schema: str) -> None:
    """Not even if it hangs while it waits for the answer: its transaction is over by then."""
    url = shared_postgres().url
    port = int(url.rpartition(":")[2].partition("/")[0])
    with TcpProxy(port) as proxy:
        slow = await started(url.replace(f":{port}", f":{proxy.port}"), postgres_schema)
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
        await slow.shutdown()


async def test_batches_over_the_same_keys_wait_for_one_another_in_one_order(
    backend: PostgresResultBackend, postgres_schema: str
) -> None:
    """Two clients do everything at once to the same keys, each in an order of its own: no deadlock, no lost answer."""
    other = await started(shared_postgres().url, postgres_schema)
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

    with anyio.fail_after(DEADLINE):
        async with anyio.create_task_group() as group:
            for seed in range(6):
                group.start_soon(go, (backend, other)[seed % 2], seed)
    await other.shutdown()


async def test_a_server_whose_transactions_are_serializable_by_default(start_postgres: StartPostgres) -> None:
    """Who has waited for a lock would see what was before, and be refused."""
    server = start_postgres("default_transaction_isolation = serializable")
    one, two = await started(server.url), await started(server.url)
    totals: list[int] = []

    async def count(backend: PostgresResultBackend) -> None:
        for _ in range(20):
            totals.append((await backend.add({"k": 1}, 60))["k"])

    async with anyio.create_task_group() as group:
        for backend in (one, two, one, two):
            group.start_soon(count, backend)
    assert sorted(totals) == list(range(1, 81))
    for backend in (one, two):
        await backend.shutdown()
