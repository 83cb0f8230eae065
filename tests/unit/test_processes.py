"""Tasks in processes of their own: executor="process", and suspects in quarantine."""

import os
import signal
import time
from pathlib import Path

import anyio
import pytest

from taskiq_core import Context, InMemoryBroker, TaskiqDepends, gather
from taskiq_core.delivery import Delivery
from taskiq_core.exceptions import ConfigurationError
from taskiq_core.message import BrokerMessage
from taskiq_core.worker.recorder import Recorder, read_recording

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


@broker.task
async def innocent() -> int:
    return os.getpid()


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


async def test_an_accused_task_runs_alone_in_another_process() -> None:
    async with broker:
        message = broker.formatter.dumps((innocent.kicker())._prepare_message())
        broker.queue.add([BrokerMessage(message.task_id, message.task_name, message.message)])
        next(iter(broker.queue._known.values())).accused = True
        broker.wake()
        assert await broker.handle(message.task_id) != os.getpid()
        assert await (await innocent.kiq()) == os.getpid()


async def test_a_function_that_no_other_process_can_import_is_refused() -> None:
    local = InMemoryBroker()

    @local.task(executor="process")
    def inner() -> None: ...

    with pytest.raises(ConfigurationError, match="import"):
        async with local:
            pass


def test_the_flight_recorder_accuses_who_was_on_the_cpu(tmp_path: Path) -> None:
    path = tmp_path / "recorder"
    child = os.fork()
    if child == 0:
        recorder = Recorder(path, 4)
        recorder.name("consumer-1")
        recorder.begin(0, "waiting")
        recorder.loop(0, False)
        recorder.begin(1, "running")
        recorder.begin(2, "in a thread")
        recorder.loop(2, False)
        recorder.thread(2, True)
        os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(child, 0)
    recording = read_recording(path)
    assert recording is not None
    assert recording.consumer == "consumer-1"
    assert recording.accused == ("running", "in a thread")


def test_a_clean_end_and_a_living_worker_accuse_nobody(tmp_path: Path) -> None:
    path = tmp_path / "recorder"
    recorder = Recorder(path, 1)
    recorder.name("c")
    recorder.begin(0, "x")
    with pytest.raises(BlockingIOError):
        read_recording(path)
    recorder.close()
    assert read_recording(path) is None
    assert Delivery(b"").accused is False
    assert anyio and gather
