"""Suspects: run alone, judged by what they do there, and left among the others where they cannot be alone."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from taskiq_core import AcknowledgeType, InMemoryBroker, TaskiqResult
from taskiq_core.broker import AnyTask
from taskiq_core.exceptions import WorkerDiedError
from taskiq_core.message import BrokerMessage

pytestmark = pytest.mark.anyio

broker = InMemoryBroker()


@broker.task
async def innocent() -> int:
    return os.getpid()


@broker.task
def pill(ledger: str) -> None:
    with Path(ledger).open("a") as file:
        file.write(f"{os.getpid()}\n")
    os._exit(7)


async def send_suspect(task: AnyTask, *args: object, deaths: int = 1, accused: bool = True, **labels: Any) -> TaskiqResult[Any]:
    """Have a task run that has been through that many deaths of its worker; its broker is started."""
    home: Any = task.broker
    message = task.kicker().with_labels(**labels)._prepare_message(*args)
    form = home.formatter.dumps(message)
    home.queue.add([BrokerMessage(form.task_id, form.task_name, form.message)])
    entry = home.queue._known[message.task_id]
    entry.deaths, entry.accused = deaths, accused
    home.wake()
    result = await home.handle(message.task_id).wait_result(timeout=60)
    await home.wait_all()
    return result


async def suspected(task: AnyTask, *args: object, **options: Any) -> TaskiqResult[Any]:
    """The same with a broker of its own time."""
    async with task.broker:
        return await send_suspect(task, *args, **options)


@pytest.mark.parametrize(("deaths", "accused"), [(1, True), (2, False), (50, True)])
async def test_a_suspect_runs_alone_in_another_process(deaths: int, accused: bool) -> None:
    async with broker:
        assert (await send_suspect(innocent, deaths=deaths, accused=accused)).return_value != os.getpid()
        assert await (await innocent.kiq()) == os.getpid()


async def test_one_death_among_others_makes_no_suspect() -> None:
    assert (await suspected(innocent, deaths=1, accused=False)).return_value == os.getpid()


@pytest.mark.parametrize(("deaths", "starts"), [(1, 3), (2, 2), (3, 1), (9, 1)])
async def test_a_pill_starts_four_times_in_all(tmp_path: Path, deaths: int, starts: int) -> None:
    ledger = tmp_path / "ledger"
    result = await suspected(pill, str(ledger), deaths=deaths)
    assert isinstance(result.error, WorkerDiedError)
    assert len(set(ledger.read_text().split())) == result.error.deaths == starts


async def test_a_bystander_runs_among_the_others_where_no_process_can_be_started(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    assert (await suspected(innocent)).return_value == os.getpid()


async def test_a_bystander_runs_among_the_others_where_no_process_knows_it() -> None:
    late = broker.register_task(innocent.original_func, "registered only here")
    assert (await suspected(late)).return_value == os.getpid()


async def test_what_is_acknowledged_first_is_not_isolated() -> None:
    assert (await suspected(innocent, ack_type=AcknowledgeType.WHEN_RECEIVED.value)).return_value == os.getpid()


@pytest.mark.parametrize(("deaths", "accused", "condemned"), [(3, True, False), (4, True, True), (9, False, False)])
async def test_a_suspect_that_cannot_be_alone_is_condemned_at_its_fourth_death(
    deaths: int, accused: bool, condemned: bool
) -> None:
    local = InMemoryBroker()

    @local.task
    def inner() -> str:
        return "ran"

    async with local:
        result = await send_suspect(inner, deaths=deaths, accused=accused)
        letters = await local.admin.dead_letters()
    assert len(letters) == condemned
    if condemned:
        assert isinstance(result.error, WorkerDiedError)
        assert "died 4 times" in str(result.error)
        assert "among others" in str(result.error)
    else:
        assert result.return_value == "ran"


class CountingModule(ModuleType):
    """Counts how often somebody looks through it."""

    looks = 0

    def __getattribute__(self, name: str) -> Any:
        if name == "__dict__":
            CountingModule.looks += 1
        return super().__getattribute__(name)


@pytest.fixture
def counting() -> Iterator[type[CountingModule]]:
    sys.modules["counting_module"] = CountingModule("counting_module")
    CountingModule.looks = 0
    yield CountingModule
    del sys.modules["counting_module"]


async def test_where_a_task_is_found_is_decided_once(counting: type[CountingModule]) -> None:
    local = InMemoryBroker()

    @local.task
    def inner() -> None: ...

    async with local:
        for _ in range(20):
            await send_suspect(inner)
    assert counting.looks == 1
