"""A task may ask for more time, wherever it runs."""

import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import anyio
import pytest

from taskiq_core import Context, InMemoryBroker, TaskCancelledError, TaskiqDepends

pytestmark = pytest.mark.anyio

broker = InMemoryBroker()


@broker.task(timeout=0.3)
async def in_the_loop(ctx: Context = TaskiqDepends()) -> str:
    ctx.extend(60)
    ctx.extend(0)  # it never comes nearer
    await anyio.sleep(0.6)
    return "done"


@broker.task(timeout=0.3)
async def for_a_moment(ctx: Context = TaskiqDepends()) -> None:
    ctx.extend(0.5)
    await anyio.sleep_forever()


@broker.task(timeout=0.3)
def in_a_thread(ctx: Context = TaskiqDepends()) -> str:
    ctx.extend(60)
    time.sleep(0.6)
    return "done"


@broker.task(timeout=0.3)
def in_a_thread_of_its_own(ctx: Context = TaskiqDepends()) -> str:
    thread = threading.Thread(target=ctx.extend, args=(60,))
    thread.start()
    thread.join()
    time.sleep(0.6)
    return "done"


async def patience(ctx: Context = TaskiqDepends()) -> int:
    ctx.extend(60)
    return 1


@broker.task(timeout=0.3)
async def by_a_dependency(_: int = TaskiqDepends(patience)) -> str:
    await anyio.sleep(0.6)
    return "done"


@broker.task
async def without_a_limit(ctx: Context = TaskiqDepends()) -> str:
    ctx.extend(0)
    await anyio.sleep(0.05)
    return "done"


@broker.task(timeout=0.5, executor="process")
async def in_a_process(ctx: Context = TaskiqDepends()) -> str:
    ctx.extend(60)
    await anyio.sleep(1)
    return "done"


@broker.task(timeout=0.5, executor="process")
def in_a_thread_of_a_process(ctx: Context = TaskiqDepends()) -> str:
    assert not ctx.cancelled.is_set()
    ctx.extend(60)
    ctx.extend(0)
    time.sleep(1)
    return "done"


@broker.task(timeout=0.5, executor="process")
def for_a_moment_in_a_process(ctx: Context = TaskiqDepends()) -> None:
    ctx.extend(1)
    time.sleep(60)


@broker.task(executor="process")
def endless(path: Path) -> None:
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    written = path.with_suffix(".new")
    written.write_text(f"{os.getpid()} {child.pid}")
    written.rename(path)
    time.sleep(600)


HERE = (in_the_loop, in_a_thread, in_a_thread_of_its_own, by_a_dependency, without_a_limit)
IN_PROCESSES = (in_a_process, in_a_thread_of_a_process)


@pytest.mark.parametrize("task", [*HERE, *IN_PROCESSES], ids=lambda task: task.task_name)
async def test_more_time(task: Any) -> None:
    async with broker:
        assert await (await task.kiq()) == "done"


async def test_more_time_has_an_end() -> None:
    async with broker:
        result = await (await for_a_moment.kiq()).wait_result(timeout=20)
        assert isinstance(result.error, TimeoutError)
        assert "which it had extended" in str(result.error)
        result = await (await for_a_moment_in_a_process.kiq()).wait_result(timeout=60)
        assert isinstance(result.error, TimeoutError)


def test_a_negative_time_is_refused() -> None:
    context = Context(broker.formatter.loads(broker.formatter.dumps(in_the_loop.kicker()._prepare_message()).message), broker)
    with pytest.raises(ValueError, match="0 or more"):
        context.extend(-1)


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
async def test_a_cancelled_process_is_killed_with_what_it_has_started(tmp_path: Path) -> None:
    path = tmp_path / "pids"
    async with broker:
        handle = await endless.kiq(path)
        with anyio.fail_after(60):
            while not path.exists():
                await anyio.sleep(0.02)
            pids = [int(word) for word in path.read_text().split()]
            assert all(map(is_alive, pids))
            await handle.cancel("user")
            result = await handle.wait_result(timeout=30)
            while any(map(is_alive, pids)):
                await anyio.sleep(0.02)
    assert isinstance(result.error, TaskCancelledError)
    assert result.error.reason == "user"
