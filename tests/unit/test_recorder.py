"""The flight recorder: what a dead worker leaves, and who may read it when."""

import os
import signal
from pathlib import Path

import anyio
import pytest

from taskiq_core import InMemoryBroker, Worker
from taskiq_core.worker.recorder import Recorder, Recording, read_recording


def record_and_die(path: Path, *, leave_behind: bool = False) -> int | None:
    """In a process of its own, which is dead at the end; returns the id of what it has left behind."""
    reader, writer = os.pipe()
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
        if leave_behind and os.fork() == 0:
            recorder.begin(3, "never in the worker")
            os.write(writer, str(os.getpid()).encode())
            signal.pause()
        if leave_behind:
            signal.pause()
        os.kill(os.getpid(), signal.SIGKILL)
    os.close(writer)
    left = int(os.read(reader, 20)) if leave_behind else None
    os.close(reader)
    if leave_behind:
        os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return left


def test_it_accuses_who_was_on_the_cpu(tmp_path: Path) -> None:
    path = tmp_path / "recorder"
    record_and_die(path)
    assert read_recording(path) == Recording("consumer-1", ("running", "in a thread"))


def test_a_process_forked_from_the_worker_neither_holds_nor_writes_it(tmp_path: Path) -> None:
    path = tmp_path / "recorder"
    left = record_and_die(path, leave_behind=True)
    assert left is not None
    try:
        assert read_recording(path) == Recording("consumer-1", ("running", "in a thread"))
    finally:
        os.kill(left, signal.SIGKILL)


def test_a_clean_end_and_no_file_accuse_nobody(tmp_path: Path) -> None:
    path = tmp_path / "recorder"
    recorder = Recorder(path, 1)
    recorder.name("c")
    recorder.begin(0, "x")
    with pytest.raises(BlockingIOError):
        read_recording(path)
    recorder.close()
    assert read_recording(path) is None
    assert read_recording(tmp_path / "nothing") is None


@pytest.mark.parametrize("held", [True, False])
@pytest.mark.anyio
async def test_a_file_is_kept_until_it_has_been_read(tmp_path: Path, held: bool) -> None:
    path = tmp_path / "recorder"
    recorder = Recorder(path, 1)
    recorder.name("consumer-1")
    if not held:
        recorder.close()
    broker = InMemoryBroker()
    broker.is_worker_process = True
    async with broker:
        with anyio.fail_after(10):
            await Worker(broker, predecessors=[path], burst=True).serve()
    assert path.exists() is held
    if held:
        recorder.close()
