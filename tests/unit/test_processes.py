"""Tasks that ask for a process of their own: executor="process"."""

import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest
from support.watched import WatchedBroker

from taskiq_core import Context, InMemoryBroker, TaskiqDepends, Verdict
from taskiq_core.exceptions import ConfigurationError, WorkerDiedError
from taskiq_core.worker.sandbox import NoSandboxError

pytestmark = pytest.mark.anyio

broker = InMemoryBroker()


@broker.task(executor="process")
def pid() -> int:
    return os.getpid()


@broker.task(executor="process")
async def pid_async(ctx: Context = TaskiqDepends()) -> tuple[int, str]:
    return os.getpid(), ctx.task_id


@broker.task(executor="process", timeout=0.3)
def hang(ledger: str) -> None:
    Path(ledger).write_text(str(os.getpid()))
    time.sleep(60)


@broker.task(executor="process")
def die(ledger: str, how: str) -> None:
    with Path(ledger).open("a") as file:
        file.write("started\n")
    if how == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    os._exit(3)


@broker.task(executor="process", retry=2)
def flaky(ctx: Context = TaskiqDepends()) -> int:
    print("what a task prints must not disturb the protocol")
    if ctx.attempt < 3:
        raise ValueError(ctx.attempt)
    return ctx.attempt


@broker.task(executor="process")
def wrong_value() -> object:
    return object()


async def test_it_runs_in_another_process_with_dependencies_and_retries() -> None:
    async with broker:
        first = await pid.kiq()
        assert await first != os.getpid()
        other, task_id = await (handle := await pid_async.kiq())
        assert other != os.getpid()
        assert task_id == handle.task_id
        assert await (await flaky.kiq()) == 3
        result = await (await wrong_value.kiq()).wait_result(timeout=20)
        assert type(result.error).__name__ == "ResultNotSerializableError"


async def test_a_timeout_kills_the_process(tmp_path: Path) -> None:
    ledger = tmp_path / "pid"
    async with broker:
        result = await (await hang.kiq(str(ledger))).wait_result(timeout=30)
    assert isinstance(result.error, TimeoutError)
    with pytest.raises(ProcessLookupError):
        os.kill(int(ledger.read_text()), 0)


@pytest.mark.parametrize("how", ["kill", "exit"])
async def test_a_task_that_kills_its_process_is_condemned_after_three_deaths(tmp_path: Path, how: str) -> None:
    ledger = tmp_path / "ledger"
    async with broker:
        before = len(await broker.admin.dead_letters())
        result = await (await die.kiq(str(ledger), how)).wait_result(timeout=60)
        await broker.wait_all()
        letters = await broker.admin.dead_letters()
    assert type(result.error).__name__ == "WorkerDiedError"
    assert ledger.read_text().count("started") == 3
    assert len(letters) == before + 1
    assert "died 3 times" in letters[0].reason


async def test_a_function_that_no_other_process_can_import_is_refused() -> None:
    local = InMemoryBroker()

    @local.task(executor="process")
    def inner() -> None: ...

    with pytest.raises(ConfigurationError, match="import"):
        async with local:
            pass


@pytest.mark.parametrize("ack_type", ["when_received", "manual"])
async def test_an_acknowledge_type_that_a_process_cannot_serve_is_refused(ack_type: str) -> None:
    local = InMemoryBroker()
    local.register_task(pid.original_func, "pid", executor="process", ack_type=ack_type)
    with pytest.raises(ConfigurationError, match=f"executor='process' and ack_type='{ack_type}'"):
        async with local:
            pass


async def test_a_message_that_is_acknowledged_first_starts_once(tmp_path: Path) -> None:
    ledger = tmp_path / "ledger"
    async with broker:
        handle = await die.kicker().with_labels(ack_type="when_received").kiq(str(ledger), "exit")
        result = await handle.wait_result(timeout=60)
        await broker.wait_all()
    assert isinstance(result.error, WorkerDiedError)
    assert result.error.deaths == ledger.read_text().count("started") == 1


async def test_a_message_that_finds_no_process_comes_back_later(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    watched = WatchedBroker()
    task = watched.register_task(pid.original_func, "pid", executor="process")
    async with watched:
        handle = await task.kiq()
        settlement = await watched.first_verdict()
        assert not await handle.is_ready()
        assert (settlement.verdict, settlement.delay) == (Verdict.RELEASE, 5.0)
        assert watched.formatter.loads(settlement.body or b"").labels["_no_process"] == 1
        result = await (await task.kicker().with_labels(_no_process=4).kiq()).wait_result(timeout=10)
        assert isinstance(result.error, NoSandboxError)
        assert "could not be started" in str(result.error)


def test_what_a_task_prints_goes_to_the_standard_output_of_its_worker() -> None:
    code = "import anyio, prints; anyio.run(prints.main)"
    script = """
import anyio
from taskiq_core import InMemoryBroker

broker = InMemoryBroker()

@broker.task(executor="process")
def hello() -> None:
    print("printed by a task", flush=True)

async def main() -> None:
    async with broker:
        await (await hello.kiq())
"""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "prints.py").write_text(script)
        done = subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout == "printed by a task\n", done.stderr
