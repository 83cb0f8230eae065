"""Records end with their time to live, each with all its traces."""

import time

import anyio
import pytest
from redis import Redis
from support.redis_servers import shared_redis

from taskiq_core.records import TaskStatus, Transition
from taskiq_core_result_backends_redis import RedisResultBackend

pytestmark = pytest.mark.anyio

PENDING, RUNNING, SUCCESS = TaskStatus.PENDING, TaskStatus.RUNNING, TaskStatus.SUCCESS


def sizes(prefix: str) -> dict[str, int]:
    """How many members each key of the records has."""
    with shared_redis().client() as client:
        keys = list(client.scan_iter(f"*{prefix}*:records*"))
        return {key.partition("}:")[2]: size(client, key) for key in keys}


def size(client: Redis, key: str) -> int:
    return client.hlen(key) if client.type(key) == "hash" else client.zcard(key)


async def expired(backend: RedisResultBackend, task_id: str) -> None:
    """Wait until the server says that the record's time is over."""
    while True:
        time_of_server = await backend.require_commands().call("TIME")
        end = await backend.require_commands().call("ZSCORE", f"{backend.location.root}:records:ends", task_id)
        if end is None or float(time_of_server[0]) * 1e6 + float(time_of_server[1]) > float(end):
            return
        await anyio.sleep(0.02)


async def test_an_expired_record_goes_with_all_its_traces(backend: RedisResultBackend, redis_prefix: str) -> None:
    await backend.record([Transition("stays", RUNNING, time.time(), "x")])
    backend.record_ttl = 0.1
    await backend.record([Transition("goes", PENDING, time.time(), "x")])
    await backend.record([Transition("goes", RUNNING, time.time(), "y")])
    assert sizes(redis_prefix)["records:by:2"] == 2
    with anyio.fail_after(10):
        await expired(backend, "goes")
    backend.record_ttl = 60
    await backend.record([Transition("new", SUCCESS, time.time(), "z")])
    assert sizes(redis_prefix) == {
        "records": 2,
        "records:ends": 2,
        "records:by:2": 1,
        "records:by:2:x": 1,
        "records:by:4": 1,
        "records:by:4:z": 1,
    }
    assert (await backend.get_records(["goes", "stays", "new"])).keys() == {"stays", "new"}


@pytest.mark.parametrize("question", ["list", "count", "cleanup"])
async def test_whoever_asks_sees_no_expired_record(backend: RedisResultBackend, redis_prefix: str, question: str) -> None:
    await backend.record([Transition("stays", RUNNING, time.time(), "x")])
    backend.record_ttl = 0.1
    await backend.record([Transition("goes", SUCCESS, time.time(), "x")])
    with anyio.fail_after(10):
        await expired(backend, "goes")
    if question == "list":
        assert [record.task_id for record in (await backend.list_records()).records] == ["stays"]
    elif question == "count":
        assert await backend.count_by_status() == {RUNNING: 1}
    else:
        assert await backend.cleanup(older_than=60) == 0
    assert sizes(redis_prefix)["records"] == 1


async def test_a_record_lives_from_its_last_transition(backend: RedisResultBackend, redis_prefix: str) -> None:
    backend.record_ttl = 0.3
    begin = time.monotonic()
    while time.monotonic() - begin < 0.9:
        before = time.monotonic()
        await backend.record([Transition("busy", RUNNING, time.time(), "x")])
        known = await backend.get_records(["busy"])
        assert "busy" in known or time.monotonic() - before > 0.3
    assert sizes(redis_prefix)["records"] == 1


async def test_cleanup_goes_through_any_number(backend: RedisResultBackend) -> None:
    now = time.time()
    steps = [Transition(f"old{number}", SUCCESS, now - 200, "x") for number in range(600)]
    steps += [Transition(f"long{number}", RUNNING, now - 300, "x") for number in range(300)]
    steps += [Transition(f"long{number}", SUCCESS, now - 1, "x") for number in range(300)]
    await backend.record(steps)
    assert await backend.cleanup(older_than=100) == 600
    assert await backend.count_by_status() == {SUCCESS: 300}
    assert await backend.cleanup(older_than=100) == 0
