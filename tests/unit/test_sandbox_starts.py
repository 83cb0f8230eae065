"""How sandbox processes start, and when they cannot."""

import json
import sys
from pathlib import Path
from types import ModuleType

import anyio
import pytest
from support.applications import body_for, import_application, write_module

from taskiq_core import AcknowledgeType
from taskiq_core.delivery import Delivery
from taskiq_core.worker import sandbox
from taskiq_core.worker.outcome import Outcome
from taskiq_core.worker.sandbox import NoSandboxError, SandboxPool
from taskiq_core.worker.sandbox_request import LOGGING, TaskPlace, load_outcome

pytestmark = pytest.mark.anyio

PLACE = TaskPlace("sandboxed_app:broker", "sandboxed_app", "sandboxed_app:task", None)

APPLICATION = """
    import asyncio, contextvars
    broker = InMemoryBroker()
    started = contextvars.ContextVar("started", default="no")

    @broker.on_event(TaskiqEvents.WORKER_STARTUP)
    async def start(state):
        started.set("yes")

    @broker.task
    async def task():
        try:
            loop = type(asyncio.get_running_loop()).__module__.partition(".")[0]
        except RuntimeError:
            loop = "trio"
        return loop, os.getcwd(), sys.path, started.get()

    @broker.task
    async def fails():
        raise ValueError("on purpose")
"""


@pytest.fixture
def app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    return import_application(tmp_path, monkeypatch, APPLICATION)


async def ask(app: ModuleType, name: str = "task", ack_type: AcknowledgeType = AcknowledgeType.WHEN_SAVED) -> Outcome:
    task = getattr(app, name)
    place = TaskPlace.of(app.broker, task)
    assert place is not None
    body = body_for(task)
    async with SandboxPool(1, ack_type) as pool:
        return load_outcome(await pool.ask(place.request(body)), Delivery(body), app.broker.formatter.loads(body))


@pytest.mark.parametrize("loop", ["asyncio", "uvloop", "trio"])
def test_a_task_finds_what_it_would_find_in_the_worker(app: ModuleType, loop: str) -> None:
    if loop == "uvloop":
        pytest.importorskip("uvloop")
    options = {"use_uvloop": loop == "uvloop"} if loop != "trio" else {}
    backend = "trio" if loop == "trio" else "asyncio"
    outcome = anyio.run(ask, app, backend=backend, backend_options=options)
    assert outcome.result is not None
    assert list(outcome.result.return_value) == [loop, str(Path.cwd()), sys.path, "yes"]


async def test_the_acknowledge_type_is_the_worker_s(app: ModuleType) -> None:
    assert (await ask(app)).manual is False
    assert (await ask(app, ack_type=AcknowledgeType.MANUAL)).manual is True


TROUBLE = {
    "sys.exit() in the module": ("sys.exit('usage: no arguments given')", "SystemExit: usage: no arguments given"),
    "the module ends the process": ("os._exit(9)", "exit status 9"),
    "no such task": ("broker = InMemoryBroker()", "knows no task 'sandboxed_app:task'"),
    "no such name": ("broken = InMemoryBroker()", "AttributeError"),
    "a failing start-up": (
        """
        broker = InMemoryBroker()

        @broker.on_event(TaskiqEvents.WORKER_STARTUP)
        async def start(state):
            raise SystemExit("no configuration")
        """,
        "no configuration",
    ),
    "an endless import": ("time.sleep(60)", "longer than 2 s"),
}


@pytest.mark.parametrize(("source", "reason"), TROUBLE.values(), ids=TROUBLE.keys())
async def test_what_cannot_be_imported_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str, reason: str
) -> None:
    write_module(tmp_path, "sandboxed_app", source)
    monkeypatch.syspath_prepend(tmp_path)
    if "sleep" in source:
        monkeypatch.setattr(sandbox, "_START", 2.0)
    async with SandboxPool(1) as pool:
        with pytest.raises(NoSandboxError, match=reason.replace("(", r"\(")):
            await pool.ask(PLACE.request(b""))


async def test_a_program_that_cannot_be_started_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    async with SandboxPool(1) as pool:
        with pytest.raises(NoSandboxError, match="could not be started"):
            await pool.ask(PLACE.request(b""))


async def test_a_process_logs_as_its_worker_does(
    app: ModuleType, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(LOGGING, "taskiq_core.cli.logs:configure info json sandbox")
    outcome = await ask(app, "fails")
    assert outcome.reason == "ValueError: on purpose"
    (line,) = [json.loads(line) for line in capfd.readouterr().err.splitlines()]
    assert (line["process"], line["level"]) == ("sandbox", "error")
    assert "on purpose" in line["message"]
