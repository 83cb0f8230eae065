"""Senders side by side on one file: what one does wrong and what the file does to all."""

import sqlite3
from typing import Any

import anyio
import pytest

from taskiq_core.exceptions import MessageRefusedError, SendTaskError
from taskiq_core.group_commit import NotFlushedError
from taskiq_core.ids import new_task_id
from taskiq_core.message import BrokerMessage
from taskiq_core_brokers_sqlite import SQLiteBroker

pytestmark = pytest.mark.anyio


class Lock:
    """A transaction of somebody else's."""

    def __init__(self, path: str) -> None:
        self._conn = sqlite3.connect(path, isolation_level=None)

    def __enter__(self) -> "Lock":
        self._conn.execute("BEGIN IMMEDIATE")
        return self

    def __exit__(self, *_: object) -> None:
        self._conn.execute("ROLLBACK")
        self._conn.close()


def message(task_id: Any = None, **fields: Any) -> BrokerMessage:
    return BrokerMessage(task_id or new_task_id(), "a.task", b"body", **fields)


WRONG = [
    message(["a list"]),
    message("half a character \ud800"),
    message(queue="half a character \ud800"),
    message(delay="soon"),
    message(priority=1 << 70),
]


async def outcomes(broker: SQLiteBroker, messages: list[BrokerMessage]) -> list[SendTaskError | None]:
    """Send all at once, one by one, while the file is locked so that they gather."""
    found: list[SendTaskError | None] = [None] * len(messages)

    async def send(place: int) -> None:
        try:
            await broker.kick(messages[place])
        except SendTaskError as error:
            found[place] = error

    async with anyio.create_task_group() as group:
        with Lock(broker.path):
            for place in range(len(messages)):
                group.start_soon(send, place)
            with anyio.fail_after(10):
                while len(broker._group._waiting) < len(messages) - 1:
                    await anyio.lowlevel.checkpoint()
    return found


@pytest.mark.parametrize("wrong", WRONG, ids=["id", "id's text", "queue", "delay", "priority"])
async def test_one_wrong_message_fails_alone(tmp_path, wrong: BrokerMessage) -> None:
    async with SQLiteBroker(tmp_path / "q.db") as broker:
        sent = [message() for _ in range(10)]
        sent[7] = wrong
        found = await outcomes(broker, sent)
        assert [place for place, error in enumerate(found) if error is not None] == [7]
        assert isinstance(found[7], MessageRefusedError)
        assert broker.admin is not None
        assert (await broker.admin.depth("default")).ready == 9


async def test_a_batch_with_a_wrong_message_is_refused_whole(tmp_path) -> None:
    async with SQLiteBroker(tmp_path / "q.db") as broker:
        for wrong in WRONG:
            with pytest.raises(MessageRefusedError, match="cannot"):
                await broker.kick_many([message(), wrong, message()])
        assert broker.admin is not None
        assert (await broker.admin.depth("default")).ready == 0


async def test_the_send_timeout_of_the_broker_holds_for_those_who_wait_behind_others(tmp_path) -> None:
    async with SQLiteBroker(tmp_path / "q.db", send_timeout=0.3) as broker:
        refused: list[Exception] = []

        async def send() -> None:
            with pytest.raises((SendTaskError, NotFlushedError)) as caught:
                await broker.kick(message())
            refused.append(caught.value)

        with Lock(broker.path), anyio.fail_after(4):  # the default alone is 5 seconds
            async with anyio.create_task_group() as group:
                for _ in range(4):
                    group.start_soon(send)
        assert len(refused) == 4
