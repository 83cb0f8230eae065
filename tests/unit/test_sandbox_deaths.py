"""Sandbox processes that end, and what ends with them."""

import os
import signal
import sys
from pathlib import Path
from types import ModuleType

import anyio
import pytest
from support.applications import body_for, import_application, wait_gone, write_module
from support.processes import running

from taskiq_core.delivery import Delivery
from taskiq_core.worker.sandbox import SandboxDiedError, SandboxPool
from taskiq_core.worker.sandbox_request import TaskPlace, load_outcome

pytestmark = pytest.mark.anyio

APPLICATION = """
    broker = InMemoryBroker()

    @broker.task
    def pid():
        return os.getpid()

    @broker.task
    def forks(ledger):
        child = os.fork()
        if child == 0:
            time.sleep(60)
            os._exit(0)
        Path(ledger).write_text(str(child))
        os._exit(3)

    @broker.task
    def leaves_a_daemon(ledger):
        for descriptor in range(3, 40):
            try:
                os.dup(descriptor)
            except OSError:
                pass
        child = os.fork()
        if child == 0:
            os.setsid()
            time.sleep(60)
            os._exit(0)
        Path(ledger).write_text(str(child))
        os._exit(4)

    @broker.task
    def hangs_with_a_child(ledger):
        child = os.fork()
        if child == 0:
            time.sleep(60)
            os._exit(0)
        Path(ledger).write_text(f"{os.getpid()} {child}")
        time.sleep(60)

    @broker.task
    def holds_the_interpreter(ledger):
        import re
        Path(ledger).write_text(str(os.getpid()))
        re.match("(a+)+$", "a" * 60 + "b")

    @broker.task
    def is_signalled():
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGTERM)
        child = os.fork()
        if child == 0:
            os.kill(os.getpid(), signal.SIGTERM)
            os._exit(0)
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
"""


@pytest.fixture
def app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    return import_application(tmp_path, monkeypatch, APPLICATION)


def request_for(app: ModuleType, name: str, *args: object) -> bytes:
    task = getattr(app, name)
    place = TaskPlace.of(app.broker, task)
    assert place is not None
    return place.request(body_for(task, *args))


@pytest.mark.parametrize(("task", "status"), [("forks", 3), ("leaves_a_daemon", 4)])
async def test_a_death_is_noticed_whatever_the_task_leaves_behind(
    app: ModuleType, tmp_path: Path, task: str, status: int
) -> None:
    ledger = tmp_path / "child"
    async with SandboxPool(1) as pool:
        with anyio.fail_after(30), pytest.raises(SandboxDiedError, match=f"exit status {status}"):
            await pool.ask(request_for(app, task, str(ledger)))
    child = int(ledger.read_text())
    if task == "leaves_a_daemon":
        os.kill(child, signal.SIGKILL)
    wait_gone(child)


async def test_a_timeout_ends_what_the_task_has_started(app: ModuleType, tmp_path: Path) -> None:
    ledger = tmp_path / "pids"
    async with SandboxPool(1) as pool:
        with pytest.raises(TimeoutError):
            await pool.ask(request_for(app, "hangs_with_a_child", str(ledger)), timeout=0.5)
    for pid in ledger.read_text().split():
        wait_gone(int(pid))


@pytest.mark.parametrize("noticed", [True, False])
async def test_an_idle_process_that_died_is_replaced(app: ModuleType, noticed: bool) -> None:
    async with SandboxPool(1) as pool:
        await pool.ask(request_for(app, "pid"))
        (idle,) = pool._idle
        os.kill(idle.process.pid, signal.SIGKILL)
        if noticed:
            await idle.process.wait()
        await pool.ask(request_for(app, "pid"))
        (other,) = pool._idle
        assert other.process.pid != idle.process.pid


async def test_signals_meant_for_the_worker_end_neither_task_nor_process(app: ModuleType) -> None:
    async with SandboxPool(1) as pool:
        reply = await pool.ask(request_for(app, "is_signalled"))
        (sandbox,) = pool._idle
        assert sandbox.process.returncode is None
    outcome = load_outcome(reply, Delivery(b""), app.broker.formatter.loads(body_for(app.is_signalled)))
    assert outcome.result is not None
    assert outcome.result.return_value == -signal.SIGTERM, "what a task forks can be terminated"


WORKER = """
import anyio, sys
import sandboxed_app as app
from support.applications import body_for
from taskiq_core.worker.sandbox import SandboxPool
from taskiq_core.worker.sandbox_request import TaskPlace

async def main():
    task = getattr(app, sys.argv[1])
    async with SandboxPool(1) as pool:
        await pool.ask(TaskPlace.of(app.broker, task).request(body_for(task, sys.argv[2])))

anyio.run(main)
"""


@pytest.mark.parametrize("task", ["hangs_with_a_child", "holds_the_interpreter"])
def test_everything_ends_with_the_worker(tmp_path: Path, task: str) -> None:
    if task == "holds_the_interpreter" and sys.platform != "linux":
        pytest.skip("no other kernel makes a signal of the end of a pipe")
    write_module(tmp_path, "sandboxed_app", APPLICATION)
    ledger = tmp_path / "pids"
    path = os.pathsep.join([str(tmp_path), str(Path(__file__).parent.parent)])
    with running("python", "-c", WORKER, task, str(ledger), env={"PYTHONPATH": path}) as worker:
        while not (ledger.exists() and ledger.read_text()):
            assert worker.returncode is None, worker.report
        os.kill(worker.pid, signal.SIGKILL)
        for pid in ledger.read_text().split():
            wait_gone(int(pid))
