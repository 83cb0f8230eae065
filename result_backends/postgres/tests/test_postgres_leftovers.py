"""What is stored goes by itself, and takes only what it should with it."""

import math
import time

import anyio
import pytest
from support.postgres_servers import shared_postgres

from taskiq_core.delivery import Settlement, StoredResult, Verdict
from taskiq_core.exceptions import ResultSetError
from taskiq_core.ids import new_task_id
from taskiq_core.progress import TaskProgress, TaskState
from taskiq_core.records import TaskStatus, Transition
from taskiq_core.result import TaskiqResult
from taskiq_core.testing.broker_tools import collect, messages
from taskiq_core_brokers_postgres import PostgresBroker
from taskiq_core_brokers_postgres.expiry import expire
from taskiq_core_brokers_postgres.schema import EXPIRING
from taskiq_core_result_backends_postgres import PostgresResultBackend

pytestmark = pytest.mark.anyio


def result(value: object = None) -> TaskiqResult:
    return TaskiqResult(is_err=False, return_value=value)


async def counts(backend: PostgresResultBackend) -> dict[str, int]:
    database = backend.require_database()
    return {name: (await database.fetch(f"SELECT count(*) FROM taskiq.{name}"))[0][0] for name in ("results", "records")}


async def test_what_has_expired_is_deleted_in_batches(postgres_schema: str) -> None:
    backend = PostgresResultBackend(shared_postgres().url, 0.1, record_ttl=0.1, schema=postgres_schema)
    await backend.startup()
    ids = [new_task_id() for _ in range(2500)]
    await backend.set_results([backend.pack(task_id, result()) for task_id in ids])
    kept = [new_task_id() for _ in range(3)]
    await backend.set_results([StoredResult(task_id, backend.dump(result()), 600.0) for task_id in kept])
    await backend.record([Transition(task_id, TaskStatus.PENDING, 1.0) for task_id in ids])
    await backend.set_progress("id", TaskProgress(state=TaskState.STARTED, meta={}))
    assert await counts(backend) == {"results": 2503, "records": 2500}
    await anyio.sleep(0.15)
    assert (await backend.get_results([*ids, *kept])).keys() == set(kept)
    assert await backend.get_progress("id") is None
    for table in EXPIRING:
        await expire(backend.require_database(), table)
    assert await counts(backend) == {"results": 3, "records": 0}
    await backend.shutdown()


async def test_a_started_backend_sees_to_it(postgres_schema: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("taskiq_core_brokers_postgres.expiry._INTERVAL", 0.05)
    backend = PostgresResultBackend(shared_postgres().url, 0.01, schema=postgres_schema)
    await backend.startup()
    await backend.set_results([backend.pack(new_task_id(), result())])
    with anyio.fail_after(20):
        while (await counts(backend))["results"]:
            await anyio.sleep(0.02)
    await backend.shutdown()


async def test_progress_is_written_again_without_a_new_entry_in_an_index(backend: PostgresResultBackend) -> None:
    for current in range(50):
        await backend.set_progress("id", TaskProgress(state=TaskState.STARTED, current=current, meta={}))
    await backend.shutdown()  # a connection that stays tells of what it has done ten seconds later
    statement = "SELECT n_tup_upd, n_tup_hot_upd FROM pg_stat_all_tables WHERE schemaname = $1 AND relname = 'progress'"
    with anyio.fail_after(20):
        while (row := shared_postgres().ask(statement, backend.location.schema)[0])[0] < 49:
            await anyio.sleep(0.1)
    assert row[1] >= 45


async def test_a_lost_lease_still_stores_the_result(postgres_schema: str) -> None:
    url = shared_postgres().url
    backend = PostgresResultBackend(url, schema=postgres_schema)
    async with PostgresBroker(url, backend, schema=postgres_schema) as broker:
        await broker.kick_many(messages(1))
        async with broker.subscribe(["default"]) as slow, broker.subscribe(["default"]) as other:
            assert slow.stores_results_of(backend)
            (stale,) = await collect(slow, 1)
            await other.bury(slow.consumer, [])
            (fresh,) = await collect(other, 1)
            await slow.settle([Settlement(stale, Verdict.ACK, result=backend.pack("id", result("done")))])
            assert (await backend.get_result("id")).return_value == "done"
            assert (await broker.admin.depth("default")).leased == 1
            await other.settle([Settlement(fresh, Verdict.ACK)])


async def test_another_schema_is_not_joint(postgres_schema: str) -> None:
    url = shared_postgres().url
    async with PostgresBroker(url, schema=postgres_schema) as broker, broker.subscribe(["default"]) as subscription:
        assert not subscription.stores_results_of(PostgresResultBackend(url, schema="elsewhere"))


async def test_what_cannot_be_stored_is_refused_with_the_reason(backend: PostgresResultBackend) -> None:
    with pytest.raises(ResultSetError, match="cannot store this"):
        await backend.set_results([StoredResult("nul\0", b"1")])
    await backend.set_results([StoredResult("long", backend.dump(result()), 1e15)])
    assert await backend.is_result_ready("long")


async def test_records_keep_what_no_text_of_postgresql_holds(backend: PostgresResultBackend) -> None:
    now = time.time() + math.pi / 1e7
    steps = [
        Transition("id", TaskStatus.RUNNING, now, "a task", "ключ", "w\0rker", 3),
        Transition("id", TaskStatus.FAILED, now + 1e-6, error="E: \0 \ud800"),
    ]
    await backend.record(steps)
    record = (await backend.get_records(["id"]))["id"]
    assert (record.queue, record.worker, record.error, record.started_at) == ("ключ", "w�rker", "E: � ?", now)
    assert record.finished_at == now + 1e-6
