"""The file is deleted or replaced while it is in use."""

import logging
import shutil
from pathlib import Path

import anyio
import pytest

from taskiq_core.ids import new_task_id
from taskiq_core.message import BrokerMessage
from taskiq_core_brokers_sqlite import SQLiteBroker
from taskiq_core_brokers_sqlite.database import Database

pytestmark = pytest.mark.anyio


def message(body: bytes) -> BrokerMessage:
    return BrokerMessage(new_task_id(), "a.task", body)


async def from_elsewhere(path: Path, body: bytes, monkeypatch) -> None:
    """Send over connections of its own, as another process does."""
    with monkeypatch.context() as patch:
        patch.setattr(Database, "_shared", {})
        async with SQLiteBroker(path) as broker:
            await broker.kick_many([message(body)])


@pytest.mark.parametrize("leftovers", ["stay", "go"])
async def test_an_idle_worker_hears_of_what_is_sent_to_the_new_file(tmp_path, monkeypatch, caplog, leftovers):
    path = tmp_path / "q.db"
    async with SQLiteBroker(path) as broker, broker.subscribe(["default"]) as subscription:
        await broker.kick_many([message(b"old")])
        (old,) = await subscription.receive(1)
        await subscription.settle([])
        with anyio.fail_after(20):
            async with anyio.create_task_group() as group:

                async def replace() -> None:
                    for name in tmp_path.glob("q.db*" if leftovers == "go" else "q.db"):
                        name.unlink()
                    await from_elsewhere(path, b"new", monkeypatch)

                group.start_soon(replace)
                (found,) = await subscription.receive(1)
        assert found.body == b"new"
        assert list(await subscription.extend([old])) == [old]
    said = [record for record in caplog.records if "deleted or replaced" in record.getMessage()]
    assert [record.levelno for record in said] == [logging.ERROR]


async def test_a_sender_makes_the_file_anew(tmp_path):
    path = tmp_path / "q.db"
    async with SQLiteBroker(path) as broker:
        await broker.kick_many([message(b"old")])
        path.unlink()
        await broker.kick_many([message(b"new")])
        assert broker.admin is not None
        assert (await broker.admin.depth("default")).ready == 1
        assert path.exists()


async def test_a_file_that_is_moved_into_place_is_used(tmp_path):
    path, other = tmp_path / "q.db", tmp_path / "other.db"
    async with SQLiteBroker(other) as broker:
        await broker.kick_many([message(b"a"), message(b"b")])
    async with SQLiteBroker(path) as broker:
        assert broker.admin is not None
        assert (await broker.admin.depth("default")).ready == 0
        for name in tmp_path.glob("q.db*"):
            name.unlink()
        shutil.move(other, path)
        assert (await broker.admin.depth("default")).ready == 2
