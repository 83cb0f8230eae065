"""What the SQLite backend does beyond the laws of all backends."""

import sqlite3
import time

import anyio
import pytest

from taskiq_core.delivery import Settlement, StoredResult, Verdict
from taskiq_core.exceptions import ConfigurationError, ResultBackendError, ResultStoreAwayError
from taskiq_core.ids import new_task_id
from taskiq_core.message import BrokerMessage
from taskiq_core.plugins import broker_from_url
from taskiq_core.result import TaskiqResult
from taskiq_core_brokers_sqlite import SQLiteBroker
from taskiq_core_result_backends_sqlite import SQLiteResultBackend

pytestmark = pytest.mark.anyio


def result(value: object = None) -> TaskiqResult:
    return TaskiqResult(is_err=False, return_value=value)


async def count(backend: SQLiteResultBackend, table: str) -> int:
    return (await backend.require_database().read(lambda conn: conn.execute(f"SELECT count(*) FROM {table}").fetchone()))[0]


async def test_expired_rows_are_deleted_by_later_writes(tmp_path):
    backend = SQLiteResultBackend(tmp_path / "r.db")
    await backend.startup()
    await backend.set_results([backend.pack(new_task_id(), result(), ttl=0.01) for _ in range(1200)])
    with anyio.fail_after(20):
        while await count(backend, "taskiq_results") > 20:
            await backend.set_results([backend.pack(new_task_id(), result())])
            await anyio.sleep(0.3)
    await backend.shutdown()


async def test_a_thousand_and_more_ids_in_one_call(tmp_path):
    backend = SQLiteResultBackend(tmp_path / "r.db")
    await backend.startup()
    ids = [new_task_id() for _ in range(40_000)]
    await backend.set_results([backend.pack(task_id, result(task_id)) for task_id in ids[::2]])
    found = await backend.get_results(ids)
    assert found.keys() == set(ids[::2])
    await backend.shutdown()


async def test_a_lost_lease_still_stores_the_result(tmp_path):
    backend = SQLiteResultBackend(tmp_path / "q.db", result_ttl=50)
    async with SQLiteBroker(tmp_path / "q.db", backend) as broker:
        sent = BrokerMessage(new_task_id(), "a.task", b"body")
        await broker.kick_many([sent])
        async with broker.subscribe(["default"]) as slow, broker.subscribe(["default"]) as other:
            assert slow.stores_results_of(backend)
            (stale,) = await slow.receive(1)
            await other.bury(slow.consumer, [])
            (fresh,) = await other.receive(1)
            body = backend.dump(result("done"))
            await slow.settle([Settlement(stale, Verdict.ACK, result=StoredResult(sent.task_id, body))])
            assert (await backend.get_result(sent.task_id)).return_value == "done"
            assert (await broker.admin.depth("default")).leased == 1
            await other.settle([Settlement(fresh, Verdict.ACK)])
        (expires,) = await backend.require_database().read(
            lambda conn: conn.execute("SELECT expires FROM taskiq_results").fetchone()
        )
        assert expires <= time.time() + 50


async def test_another_file_is_not_joint(tmp_path):
    backend = SQLiteResultBackend(tmp_path / "other.db")
    async with SQLiteBroker(tmp_path / "q.db", backend) as broker, broker.subscribe(["default"]) as subscription:
        assert not subscription.stores_results_of(backend)


async def test_a_locked_file_is_a_result_error(tmp_path):
    backend = SQLiteResultBackend(tmp_path / "r.db")
    await backend.startup()
    other = sqlite3.connect(tmp_path / "r.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with anyio.fail_after(15), pytest.raises(ResultStoreAwayError, match="locked"):
        await backend.set_result("id", result())
    assert not await backend.is_result_ready("id")
    other.close()
    await backend.shutdown()
    with pytest.raises(ResultBackendError, match="startup"):
        await backend.is_result_ready("id")


def test_one_url_says_what_both_need():
    broker = broker_from_url("sqlite:///some/jobs.db?lease=6&result_ttl=60&poll_interval=1")
    assert broker.subscribe(["default"]).lease == 6
    assert isinstance(broker.result_backend, SQLiteResultBackend)
    assert (broker.result_backend.path, broker.result_backend.result_ttl) == ("some/jobs.db", 60.0)
    with pytest.raises(ConfigurationError, match="laese"):
        broker_from_url("sqlite:///some/jobs.db?laese=6")


def test_urls():
    backend = SQLiteResultBackend.from_url("sqlite:///some/results.db?result_ttl=60")
    assert (backend.path, backend.result_ttl) == ("some/results.db", 60.0)
    with pytest.raises(ConfigurationError, match="result_tll"):
        SQLiteResultBackend.from_url("sqlite:///results.db?result_tll=60")
