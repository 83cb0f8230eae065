"""A sender gets an answer within the send timeout, and the same client works again when the trouble is over (G9)."""

import os
import resource
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import anyio
import pytest
from arena import Arena
from crash_stores import SQLiteStore, locked
from crash_support import on_sqlite

from taskiq_core import AsyncBroker, SendTaskError, call

pytestmark = [pytest.mark.crash, on_sqlite]

SEND_TIMEOUT = 3.0
ANSWERS_WITHIN = SEND_TIMEOUT + 1.0


def test_a_locked_database(arena: Arena[SQLiteStore]) -> None:
    async def story() -> None:
        async with arena.client(send_timeout=SEND_TIMEOUT) as broker:
            await broker.kicker("quick").kiq("before")
            with locked(arena.store.db):
                errors: list[SendTaskError] = []

                async def send(key: str) -> None:
                    with pytest.raises(SendTaskError) as refusal:
                        await broker.kicker("quick").kiq(key)
                    errors.append(refusal.value)

                begun = time.monotonic()
                async with anyio.create_task_group() as group:
                    for number in range(5):
                        group.start_soon(send, f"refused{number}")
                assert time.monotonic() - begun < ANSWERS_WITHIN
                assert any("is locked by another program" in str(error) for error in errors)
                assert {error.outcome for error in errors} == {"refused"}
                assert len(errors) == 5
            await broker.kicker("quick").kiq("after")

    anyio.run(story)
    run_and_check(arena)


def test_a_disk_without_room_for_the_message(arena: Arena[SQLiteStore]) -> None:
    """The limit of the size of files stands for the disk: it needs no privileges, and can be lifted again."""

    async def story() -> None:
        async with arena.client(send_timeout=SEND_TIMEOUT) as broker:
            await broker.kicker("quick").kiq("before")
            with no_file_longer_than(400_000):
                begun = time.monotonic()
                with pytest.raises(SendTaskError) as refusal:
                    for number in range(100):
                        await broker.kicker("measure").kiq(f"refused{number}", b"x" * 50_000)
                assert time.monotonic() - begun < ANSWERS_WITHIN
                assert str(arena.store.db) in str(refusal.value)
            await broker.kicker("quick").kiq("after")

    anyio.run(story)
    run_and_check(arena)


def test_a_full_disk(arena: Arena[SQLiteStore], small_disk: Path) -> None:
    arena.store.move_to(small_disk / "jobs.db")
    sent: list[str] = []

    async def fill(broker: AsyncBroker) -> SendTaskError:
        with pytest.raises(SendTaskError) as refusal:
            for number in range(200):
                await broker.kicker("measure").kiq(f"large{number}", b"x" * 50_000)
                sent.append(f"large{number}")
        return refusal.value

    async def story() -> None:
        async with arena.client(send_timeout=SEND_TIMEOUT) as broker:
            await broker.kicker("quick").kiq("before")
            begun = time.monotonic()
            error = await fill(broker)
            assert time.monotonic() - begun < ANSWERS_WITHIN
            assert "disk is full" in str(error)
            assert error.outcome == "refused"
            subprocess.run(["mount", "-o", "remount,size=16m", small_disk], check=True)
            await broker.kicker("quick").kiq("after")

    anyio.run(story)
    run_and_check(arena, sent)


def test_a_worker_on_a_full_disk_goes_on_when_there_is_room_again(arena: Arena[SQLiteStore], small_disk: Path) -> None:
    arena.store.move_to(small_disk / "jobs.db")
    keys = [f"k{number}" for number in range(30)]
    ids = arena.send("nap", *((key, 0.2) for key in keys))
    with arena.worker("--concurrency", "5") as worker:
        arena.wait_start(keys[6])
        rest = os.statvfs(small_disk)
        with suppress(OSError):  # the worker may be faster with the last of it
            (small_disk / "filler").write_bytes(b"x" * (rest.f_bavail * rest.f_frsize))
        worker.wait_for_line("trying again")
        (small_disk / "filler").unlink()
        assert [result.return_value for result in arena.results(ids)] == keys
        arena.wait_empty()
    arena.ledger().hold(keys)


def test_many_senders_at_once_under_a_short_lock(arena: Arena[SQLiteStore]) -> None:
    keys = [f"k{number}" for number in range(300)]

    async def story() -> None:
        async with arena.client() as broker, anyio.create_task_group() as group:
            with locked(arena.store.db):
                for key in keys:
                    group.start_soon(broker.kicker("quick").kiq, key)
                await anyio.sleep(0.5)

    async def prepare() -> None:
        async with arena.client() as broker:
            await broker.kicker("noop").kiq_many([call()])

    anyio.run(prepare)
    anyio.run(story)
    run_and_check(arena, keys)


def run_and_check(arena: Arena[SQLiteStore], keys: list[str] | None = None) -> None:
    """Everything accepted runs, and nothing that was refused."""
    expected = ["before", "after"] if keys is None else keys
    with arena.worker():
        ledger = arena.wait_ends(expected)
        arena.wait_empty()
    assert not [key for key in arena.ledger().ends if key.startswith("refused")] or arena.ledger().ends.keys() >= set(expected)
    ledger.hold(expected)


@contextmanager
def no_file_longer_than(size: int) -> Iterator[None]:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", disk], capture_output=True).returncode != 0:
        pytest.skip("needs the right to mount a small file system")
    try:
        yield disk
    finally:
        subprocess.run(["umount", "-l", disk], check=True)
