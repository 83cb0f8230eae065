"""NATS results: servers that go away, processes that are set differently, results that are large or kept for long."""

import math
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import anyio.to_thread
import pytest
from support.nats_fixtures import StartNats
from support.nats_servers import ask
from support.processes import DEADLINE
from support.tcp_ports import LOOPBACK, free_port
from support.tcp_proxy import TcpProxy

from taskiq_core import TaskiqResult, result_backend_from_url
from taskiq_core.exceptions import ConfigurationError, ResultBackendError, ResultStoreAwayError
from taskiq_core.ids import new_task_id
from taskiq_core_result_backends_nats import NatsResultBackend
from taskiq_core_result_backends_nats.shelves import AGES, DAY, shelf_for

pytestmark = pytest.mark.anyio

FEW_RIGHTS = """
authorization: {users: [{user: ann, password: pw, permissions: {
  publish: ["$JS.API.>", "$KV.>", "taskiq.>"], subscribe: ["_INBOX.>", "taskiq.>"]
}}]}
"""


@asynccontextmanager
async def opened(url: str, **options: Any) -> AsyncGenerator[NatsResultBackend]:
    backend: NatsResultBackend = NatsResultBackend(url, **options)
    try:
        await backend.startup()
        yield backend
    finally:
        await backend.shutdown()


async def store(backend: NatsResultBackend, value: Any, ttl: float | None = None, task_id: str | None = None) -> str:
    task_id = task_id or new_task_id()
    result = TaskiqResult[Any](is_err=False, return_value=value, execution_time=0.0)
    await backend.set_results([backend.pack(task_id, result, ttl)])
    return task_id


@pytest.mark.parametrize("away", ["killed", "black_hole"])
async def test_a_result_that_came_while_nothing_got_through_ends_the_wait(start_nats: StartNats, away: str) -> None:
    server = start_nats()
    with TcpProxy(server.port) as proxy:
        async with opened(server.url_at(proxy.port)) as waiter, opened(server.url) as writer:
            task_id, found = new_task_id(), dict[str, Any]()

            async def wait() -> None:
                found.update(await waiter.wait_results([task_id]))

            with anyio.fail_after(DEADLINE):
                async with anyio.create_task_group() as group:
                    group.start_soon(wait)
                    await anyio.wait_all_tasks_blocked()
                    if away == "killed":
                        server.restart()
                    else:
                        proxy.black_hole()
                    await until_stored(writer, task_id)
                    proxy.resume()
            assert found[task_id].return_value == "value"


async def until_stored(backend: NatsResultBackend, task_id: str) -> None:
    while True:
        try:
            await store(backend, "value", task_id=task_id)
        except ResultStoreAwayError:
            await anyio.sleep(0.05)
        else:
            return


async def test_results_outlive_the_server(start_nats: StartNats) -> None:
    server = start_nats()
    async with opened(server.url) as backend:
        ids = [await store(backend, value) for value in ("small", bytes(3_000_000))]
        await anyio.to_thread.run_sync(server.restart)
    async with opened(server.url) as backend:
        assert [(await backend.get_result(task_id)).return_value for task_id in ids] == ["small", bytes(3_000_000)]


async def test_no_server_is_needed_at_the_start_and_its_absence_is_told() -> None:
    async with opened(f"nats://jobs:s3cret@{LOOPBACK}:{free_port()}") as backend:
        with pytest.raises(ResultStoreAwayError, match="cannot be reached") as caught:
            await store(backend, 1)
    assert "s3cret" not in str(caught.value)


async def test_who_keeps_results_for_other_times_finds_them_all_the_same(nats_url: str, nats_prefix: str) -> None:
    async with opened(nats_url, prefix=nats_prefix) as reader:
        assert await reader.get_results(["unknown"]) == {}
        async with opened(nats_url, prefix=nats_prefix, result_ttl=None) as writer:
            ids = [await store(writer, ttl, ttl) for ttl in (None, 60.0, 5 * DAY, 100 * DAY)]
        with anyio.fail_after(DEADLINE):
            while len(await reader.get_results(ids)) < len(ids):
                await anyio.sleep(0.05)


async def test_the_server_deletes_what_is_on_a_shelf(start_nats: StartNats) -> None:
    server = start_nats()
    async with opened(server.url) as backend:
        for ttl in (60.0, 100 * DAY):
            await store(backend, 1, ttl)
    for shelf in ("hour", "year"):
        info = ask(server.url, lambda jetstream, shelf=shelf: jetstream.stream_info(f"KV_taskiq_results_{shelf}"))
        assert (info.config.max_age, info.state.messages) == (AGES[shelf], 1)


@pytest.mark.parametrize(
    ("ttl", "shelf"), [(1, "hour"), (3600, "hour"), (3601, "day"), (DAY, "day"), (8 * DAY, "month"), (None, "ever")]
)
def test_the_shelf_is_the_shortest_that_is_long_enough(ttl: float | None, shelf: str) -> None:
    assert shelf_for(ttl) == shelf
    assert math.isinf(AGES["ever"])


@pytest.mark.parametrize("task_id", ["plain-id_1", "with.dots", "ключ ☃", "a b*>", "x" * 5000, "="])
async def test_any_text_may_be_an_id(nats_url: str, nats_prefix: str, task_id: str) -> None:
    async with opened(nats_url, prefix=nats_prefix) as backend:
        await store(backend, task_id, task_id=task_id)
        assert (await backend.get_result(task_id)).return_value == task_id


async def test_a_user_with_few_rights(start_nats: StartNats) -> None:
    server = start_nats(FEW_RIGHTS)
    async with opened(server.url.replace("//", "//ann:pw@")) as backend:
        task_id = await store(backend, 1)
        assert (await backend.wait_results([task_id], timeout=DEADLINE))[task_id].return_value == 1
    async with opened(server.url.replace("//", "//ann:wrong@")) as backend:
        with pytest.raises(ResultBackendError, match=r"refuses the user, password"):
            await store(backend, 1)


async def test_before_the_start_it_says_so(nats_url: str) -> None:
    with pytest.raises(ResultBackendError, match="is not started"):
        await store(NatsResultBackend(nats_url), 1)


@pytest.mark.parametrize("query", ["replicas=0", "replicas=x", "result_ttl=-1", "lease=3", "prefix=a.b"])
def test_wrong_options_are_refused(query: str) -> None:
    with pytest.raises(ConfigurationError):
        result_backend_from_url(f"nats://localhost:4222?{query}")
