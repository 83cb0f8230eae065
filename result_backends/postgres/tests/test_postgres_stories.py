"""A real worker and a real client, while the server ends: every task has its one result."""

import contextlib
from collections.abc import AsyncGenerator
from pathlib import Path

import anyio
import anyio.to_thread
import pytest
from support.postgres_fixtures import StartPostgres
from support.processes import DEADLINE, running

from taskiq_core import AsyncBroker, broker_from_url, call, gather

pytestmark = [pytest.mark.anyio, pytest.mark.crash]

APP = """
import asyncio
from taskiq_core import broker_from_url

broker = broker_from_url({url!r})

@broker.task(task_name="double")
async def double(number: int) -> int:
    await asyncio.sleep(0.005)
    with open({ledger!r}, "a") as ledger:
        ledger.write(f"{{number}}\\n")
    return 2 * number
"""
COUNT = 2000


class Scene:
    """A broker in the test's process, and workers beside it."""

    def __init__(self, broker: AsyncBroker, folder: Path) -> None:
        self.broker = broker
        self.folder = folder

    def worker(self):
        return running("taskiq", "worker", "stories:broker", cwd=self.folder)

    def ran(self) -> list[int]:
        ledger = self.folder / "ledger"
        return [int(line) for line in ledger.read_text().splitlines()] if ledger.exists() else []

    async def until(self, share: float) -> None:
        with anyio.fail_after(DEADLINE):
            while len(self.ran()) < share * COUNT:
                await anyio.sleep(0.01)

    async def send(self):
        return await self.broker.kicker("double").kiq_many([call(number) for number in range(COUNT)])


@contextlib.asynccontextmanager
async def scene(url: str, folder: Path) -> AsyncGenerator[Scene]:
    (folder / "stories.py").write_text(APP.format(url=url, ledger=str(folder / "ledger")))
    async with broker_from_url(url) as broker:
        yield Scene(broker, folder)


async def check(place: Scene, handles) -> None:
    """All results are there, also for somebody who comes later, and nothing else is."""
    results = await gather(*handles, timeout=DEADLINE)
    assert [result.return_value for result in results] == [2 * number for number in range(COUNT)]
    found = await place.broker.result_backend.get_results([handle.task_id for handle in handles])
    assert len(found) == COUNT
    assert set(place.ran()) == set(range(COUNT))
    with anyio.fail_after(DEADLINE):
        while (depth := await place.broker.admin.depth("default")).ready or depth.leased:
            await anyio.sleep(0.05)


@pytest.mark.parametrize("end", ["stop", "kill"])
async def test_a_server_that_is_restarted_during_a_drain(start_postgres: StartPostgres, tmp_path: Path, end: str) -> None:
    """Who waits for the results waits on; what was done before is not done again."""
    server = start_postgres("fsync = on", "full_page_writes = on")
    async with scene(f"{server.url}?lease=5", tmp_path) as place:
        with place.worker():
            handles = await place.send()
            async with anyio.create_task_group() as group:
                group.start_soon(check, place, handles)
                await place.until(0.3)
                await anyio.to_thread.run_sync(getattr(server, end))
                await anyio.sleep(1.0)
                await anyio.to_thread.run_sync(server.start)
            assert len(place.ran()) == COUNT, "some ran twice"
