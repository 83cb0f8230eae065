"""Shared state on servers that are full, gone, forgetful or part of a cluster."""

import pytest
from support.coordinator_stories import SLOTS, CoordinatorStories, ended, opened, use, wish
from support.redis_cluster import running_cluster
from support.redis_fixtures import StartRedis
from support.redis_server import RedisServer

from taskiq_core.abc.coordinator import AdmissionRequest, Claim, SlotLimit
from taskiq_core.exceptions import ResultBackendError
from taskiq_core.records import TaskStatus

pytestmark = pytest.mark.anyio


class TestRedisCoordinator(CoordinatorStories):
    scheme, title = "redis", "Redis"

    @pytest.fixture
    def server(self, start_redis: StartRedis) -> RedisServer:
        return start_redis(password="s3cret")

    @pytest.fixture
    def url(self, server: RedisServer) -> str:
        return server.url


async def test_a_full_server_takes_no_more_but_all_that_gives_memory_back(start_redis: StartRedis) -> None:
    server = start_redis("maxmemory-policy noeviction")
    async with opened(server.url) as backend:
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


async def test_all_steps_work_in_a_cluster() -> None:
    with running_cluster() as cluster:
        async with opened(cluster.url) as backend:
            await use(backend)
