"""Real workers that are killed: nothing is lost, and orphans run again when their lease ends."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import anyio
import pytest
from support.postgres_servers import shared_postgres
from support.processes import DEADLINE, running

from taskiq_core_brokers_postgres import PostgresBroker

pytestmark = [pytest.mark.anyio, pytest.mark.crash]

WORKER = """
import asyncio, signal, sys
from taskiq_core.worker import Worker
from taskiq_core_brokers_postgres import PostgresBroker

broker = PostgresBroker(sys.argv[1], schema=sys.argv[2], lease=2.0)

@broker.task(task_name="write")
async def write(name: str, seconds: float) -> None:
    with open(sys.argv[3], "a") as ledger:
        ledger.write(f"start {name}\\n")
    await asyncio.sleep(seconds)
    with open(sys.argv[3], "a") as ledger:
        ledger.write(f"end {name}\\n")

async def main() -> None:
    worker = Worker(broker, concurrency=20)
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, worker.stop)
    await worker.run()

asyncio.run(main())
"""


class Ledger:
    """What the tasks have written, line by line."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.touch()

    def names(self, kind: str) -> Counter[str]:
        lines = [line.split() for line in self.path.read_text().splitlines()]
        return Counter(name for what, name in lines if what == kind)

    async def wait(self, condition: Callable[[], bool]) -> None:
        with anyio.fail_after(DEADLINE):
            while not condition():
                await anyio.sleep(0.02)


@pytest.fixture
async def broker(postgres_schema: str):
    async with PostgresBroker(shared_postgres().url, schema=postgres_schema, lease=2.0) as broker:
        yield broker


def worker(broker: PostgresBroker, ledger: Ledger):
    return running("python", "-c", WORKER, shared_postgres().url, broker.location.schema, str(ledger.path))


async def test_a_killed_worker_loses_nothing(broker: PostgresBroker, tmp_path: Path) -> None:
    ledger, task = Ledger(tmp_path / "ledger"), broker.kicker("write")
    with worker(broker, ledger) as doomed:
        for number in range(60):
            await task.kiq(f"n{number}", 0.2)
        await ledger.wait(lambda: ledger.names("end").total() >= 10)
        with worker(broker, ledger):
            doomed.kill_group()
            await ledger.wait(lambda: len(ledger.names("end")) == 60)
            depth = await broker.admin.depth("default")
            with anyio.fail_after(DEADLINE):
                while depth.ready or depth.leased:
                    await anyio.sleep(0.05)
                    depth = await broker.admin.depth("default")
    assert set(ledger.names("end").values()) <= {1, 2}
    assert set(ledger.names("start").values()) <= {1, 2}


async def test_a_long_task_runs_once(broker: PostgresBroker, tmp_path: Path) -> None:
    """Three leases long, with another worker that waits for anything to do."""
    ledger = Ledger(tmp_path / "ledger")
    with worker(broker, ledger), worker(broker, ledger):
        await broker.kicker("write").kiq("long", 6.0)
        await ledger.wait(lambda: ledger.names("end").total() == 1)
    assert ledger.names("start") == {"long": 1}


async def test_who_is_asked_to_stop_finishes_and_gives_back_the_rest(broker: PostgresBroker, tmp_path: Path) -> None:
    ledger, task = Ledger(tmp_path / "ledger"), broker.kicker("write")
    with worker(broker, ledger) as first:
        for number in range(40):
            await task.kiq(f"n{number}", 0.5)
        await ledger.wait(lambda: ledger.names("start").total() >= 20)
        first.stop()
        assert ledger.names("start") == ledger.names("end")
        depth = await broker.admin.depth("default")
        assert (depth.ready, depth.leased) == (40 - len(ledger.names("end")), 0)
        with worker(broker, ledger):
            await ledger.wait(lambda: len(ledger.names("end")) == 40)
    assert set(ledger.names("start").values()) == {1}
