"""Waiting for results: told by the server, and not for ever deaf after it went away."""

from collections.abc import Generator
from dataclasses import dataclass
from urllib.parse import urlsplit

import anyio
import pytest
from support.postgres_servers import shared_postgres
from support.processes import DEADLINE
from support.tcp_proxy import TcpProxy

from taskiq_core.delivery import StoredResult
from taskiq_core.exceptions import ResultBackendError, ResultGetError, ResultStoreAwayError
from taskiq_core.ids import new_task_id
from taskiq_core.result import TaskiqResult
from taskiq_core_brokers_postgres import PostgresError
from taskiq_core_result_backends_postgres import PostgresResultBackend

pytestmark = pytest.mark.anyio

NEVER = 3600.0
"""A polling floor that no test reaches."""


def result(value: object = None) -> TaskiqResult:
    return TaskiqResult(is_err=False, return_value=value)


async def started(url: str, **options: object) -> PostgresResultBackend:
    backend = PostgresResultBackend.from_url(url, **options)
    await backend.startup()
    return backend


async def listening(backend: PostgresResultBackend) -> None:
    """Wait until notifications are heard."""
    with anyio.fail_after(DEADLINE):
        while not await backend.wait_results([await stored(backend)], timeout=1):
            pass


async def stored(backend: PostgresResultBackend) -> str:
    task_id = new_task_id()
    await backend.set_results([backend.pack(task_id, result())])
    return task_id


@pytest.mark.parametrize("count", [1, 1000])
async def test_who_waits_is_told(backend: PostgresResultBackend, postgres_schema: str, count: int) -> None:
    """A thousand ids have no room in one notification."""
    waiter = await started(shared_postgres().url, schema=postgres_schema, poll_interval=NEVER)
    ids = [new_task_id() for _ in range(count)]
    with anyio.fail_after(DEADLINE):
        async with anyio.create_task_group() as group:
            for task_id in ids[:: max(1, count // 10)]:
                group.start_soon(waiter.wait_results, [task_id])
            await anyio.sleep(0.3)  # all wait; were they not, they would find it at once
            await backend.set_results([backend.pack(task_id, result()) for task_id in ids])
    await waiter.shutdown()


async def test_ids_may_be_anything_that_is_text(backend: PostgresResultBackend) -> None:
    ids = ['"quoted", and\nmore', "☃" * 100, "", " ", "\\"]
    async with anyio.create_task_group() as group:
        for task_id in ids:
            group.start_soon(backend.wait_results, [task_id])
        await backend.set_results([backend.pack(task_id, result(task_id)) for task_id in ids])
    found = await backend.get_results(ids)
    assert {task_id: item.return_value for task_id, item in found.items()} == dict(zip(ids, ids, strict=True))


@dataclass
class Place:
    """The shared server, and how tests come there."""

    url: str
    """Past the proxy, with a schema."""
    proxy: TcpProxy

    @property
    def beyond(self) -> str:
        """By the proxy, with a password."""
        return self.url.replace(f":{self.proxy.target}/", f":{self.proxy.port}/").replace("taskiq@", "taskiq:s3cret@")

    def cut(self) -> None:
        """As if the server beyond the proxy had ended."""
        self.proxy.refuse()
        self.proxy.reset()


@pytest.fixture
def place(postgres_schema: str) -> Generator[Place]:
    port = urlsplit(shared_postgres().url).port
    assert port is not None
    with TcpProxy(port) as proxy:
        yield Place(f"{shared_postgres().url}?schema={postgres_schema}", proxy)


async def test_waiting_goes_on_after_the_connections_were_cut(place: Place) -> None:
    writer, waiter = await started(place.url), await started(place.beyond, poll_interval=NEVER)
    for cut in (place.proxy.reset, place.cut):
        task_id = new_task_id()
        with anyio.fail_after(DEADLINE):
            async with anyio.create_task_group() as group:
                group.start_soon(waiter.wait_results, [task_id])
                await anyio.sleep(0.3)
                cut()
                await writer.set_results([writer.pack(task_id, result())])
                place.proxy.resume()
    await waiter.shutdown()
    await writer.shutdown()


async def test_what_is_asked_for_in_an_outage_is_an_error_with_a_reason(place: Place) -> None:
    backend = await started(place.beyond)
    place.cut()
    with pytest.raises(ResultGetError, match=rf"PostgreSQL at 127\.0\.0\.1:{place.proxy.port}/\w+ cannot be reached"):
        await backend.get_results(["id"])
    with pytest.raises(ResultStoreAwayError, match="cannot be reached"):
        await backend.set_results([StoredResult("id", b"")])
    assert await backend.wait_results(["id"], timeout=0.3) == {}
    await backend.shutdown()
    with pytest.raises(ResultBackendError, match=r"call `await broker.startup\(\)` first"):
        await backend.wait_results(["id"])


async def test_a_server_that_is_not_there_is_said_at_the_start_and_waited_for(place: Place, caplog) -> None:
    place.cut()
    backend = await started(place.beyond)
    assert "cannot be reached" in caplog.text
    assert "s3cret" not in caplog.text
    place.proxy.resume()
    with anyio.fail_after(DEADLINE):
        while not await written(backend):
            await anyio.sleep(0.05)
    await backend.shutdown()


async def written(backend: PostgresResultBackend) -> bool:
    """Whether there are tables, which nobody but it has made."""
    try:
        await stored(backend)
    except ResultBackendError:
        return False
    return True


async def test_a_start_on_a_database_that_does_not_exist_fails() -> None:
    with pytest.raises(PostgresError, match="nowhere"):
        await started(urlsplit(shared_postgres().url)._replace(path="/nowhere").geturl())
