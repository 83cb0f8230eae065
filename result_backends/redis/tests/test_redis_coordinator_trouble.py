"""Shared state on servers that are full, gone, forgetful or part of a cluster."""

import time

import anyio
import pytest
from support.processes import DEADLINE
from support.redis_cluster import running_cluster
from support.redis_fixtures import StartRedis

from taskiq_core.abc.coordinator import AdmissionRequest, Claim, RateLimit, SlotLimit
from taskiq_core.exceptions import ResultBackendError
from taskiq_core.records import TaskStatus, Transition
from taskiq_core_result_backends_redis import RedisResultBackend

pytestmark = pytest.mark.anyio


def ended(task_id: str, age: float = 0) -> Transition:
    return Transition(task_id, TaskStatus.SUCCESS, time.time() - age, "x")


SLOTS = SlotLimit("k", 1, setting="k")


def wish(holder: str) -> AdmissionRequest:
    """A slot of two, and one start."""
    return AdmissionRequest(holder, 60, [SLOTS], [RateLimit("k", 1, 60, 60), RateLimit("l", 5, 60, 60)])


async def use(backend: RedisResultBackend) -> None:
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
    await backend.record([ended("t"), ended("old", 100)])
    assert (await backend.get_records(["t", "u"])).keys() == {"t"}
    assert [record.task_id for record in (await backend.list_records(task_name="x")).records] == ["t", "old"]
    assert await backend.count_by_status() == {TaskStatus.SUCCESS: 2}
    assert await backend.cleanup(older_than=50) == 1
    assert await backend.cleanup(older_than=-50) == 1


async def started(url: str) -> RedisResultBackend:
    backend: RedisResultBackend = RedisResultBackend(url)
    await backend.startup()
    return backend


async def test_a_full_server_takes_no_more_but_all_that_gives_memory_back(start_redis: StartRedis) -> None:
    server = start_redis("maxmemory-policy noeviction")
    backend = await started(server.url)
    await backend.claim([Claim("mine", "me", 60), Claim("other", "me", 60)])
    await backend.put({"kept": b"1", "k": b"2"})
    await backend.admit([AdmissionRequest("me", 60, [SlotLimit("k", 2)])])
    await backend.record([ended("old", 100), ended("new")])
    with server.client() as client:
        client.config_set("maxmemory", "1")
        for refused in (
            backend.claim([Claim("new", "me", 60)]),
            backend.put({"gone": b"1", "kept": None}),
            backend.add({"k": 1}, 60),
            backend.record([ended("newer")]),
        ):
            with pytest.raises(ResultBackendError, match="has no memory left"):
                await refused
        assert await backend.claim([Claim("mine", "me", 60), Claim("mine", "you", 60)]) == [True, False]
        assert await backend.get(["gone", "kept"]) == {"kept": b"1"}
        assert [answer.granted for answer in await backend.admit([wish("you"), wish("he"), wish("you")])] == [
            True,
            False,
            False,
        ]
        assert [await backend.arrive("k", [member], 2, 60) for member in "ab"] == [False, True]
        assert await backend.count_by_status() == {TaskStatus.SUCCESS: 2}
        assert await backend.cleanup(older_than=50) == 1
        await backend.release([("mine", "me")])
        assert await backend.leave([("me", SLOTS), ("you", SLOTS)]) == [2, 2]
        await backend.put({"kept": None})
        await backend.forget(["other", "k", "l"])
        client.config_set("maxmemory", "0")
        assert await backend.cleanup(older_than=-50) == 1
        assert client.dbsize() == 0
    await backend.shutdown()


async def test_a_server_that_is_gone_is_named_in_the_error(start_redis: StartRedis) -> None:
    server = start_redis(password="s3cret")
    backend = await started(server.url)
    await use(backend)
    server.stop()
    for asked in (
        backend.claim([Claim("k", "a", 60)]),
        backend.forget(["k"]),
        backend.record([ended("t")]),
        backend.get_records(["t"]),
        backend.list_records(),
    ):
        with pytest.raises(ResultBackendError, match=f"Redis at .*{server.port}.* cannot be reached") as raised:
            await asked
        assert "s3cret" not in str(raised.value)
    server.restart()
    with anyio.fail_after(DEADLINE):
        while not await answers(backend):  # for a moment the last error is given again
            await anyio.sleep(0.01)
    await use(backend)
    await backend.shutdown()


async def answers(backend: RedisResultBackend) -> bool:
    try:
        await backend.forget(["k"])
    except ResultBackendError:
        return False
    return True


async def test_a_backend_that_is_not_started_says_so() -> None:
    backend: RedisResultBackend = RedisResultBackend()
    for asked in (backend.claim([Claim("k", "a", 60)]), backend.forget(["k"]), backend.get_records(["t"])):
        with pytest.raises(ResultBackendError, match="is not started"):
            await asked


async def test_all_steps_work_in_a_cluster() -> None:
    with running_cluster() as cluster:
        backend = await started(cluster.url)
        await use(backend)
        await backend.shutdown()
