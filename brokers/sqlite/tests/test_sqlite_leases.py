"""Leases on a file: what is forgotten, leaving while the file is locked, clocks that are set."""

import sqlite3
import time

import anyio
import pytest

from taskiq_core.abc.subscription import Subscription
from taskiq_core.delivery import Delivery, Settlement, Verdict
from taskiq_core.exceptions import ConfigurationError
from taskiq_core.ids import new_task_id
from taskiq_core.message import BrokerMessage
from taskiq_core_brokers_sqlite import SQLiteBroker

pytestmark = pytest.mark.anyio


def messages(*bodies: bytes, **fields) -> list[BrokerMessage]:
    return [BrokerMessage(new_task_id(), "a.task", body, **fields) for body in bodies]


async def receive(subscription: Subscription, count: int) -> list[Delivery]:
    taken: list[Delivery] = []
    with anyio.fail_after(20):
        while len(taken) < count:
            taken += await subscription.receive(count - len(taken))
    return taken


async def test_what_is_forgotten_leaves_the_books_and_comes_back_without_a_death(tmp_path):
    async with SQLiteBroker(tmp_path / "q.db", lease=0.5) as broker:
        await broker.kick_many(messages(b"forgotten", b"orphan", b"acked"))
        async with broker.subscribe(["default"]) as holder, broker.subscribe(["default"]) as other:
            held = {item.body: item for item in await receive(holder, 3)}
            await holder.settle([Settlement(held[b"acked"], Verdict.ACK)])
            holder.forget([held[b"forgotten"], held[b"acked"]])
            assert list(await holder.extend([held[b"forgotten"]])) == [held[b"forgotten"]]
            assert [len(ids) for ids in holder._holdings._held.values()] == [1]
            back = await receive(other, 2)
            assert {(item.body, item.deaths) for item in back} == {(b"forgotten", 0), (b"orphan", 1)}
            await other.settle([Settlement(item, Verdict.ACK) for item in back])


async def test_what_came_while_the_loop_was_blocked_is_renewed_too(tmp_path):
    async with SQLiteBroker(tmp_path / "q.db") as broker:
        await broker.kick_many(messages(b"held", b"unseen"))
        async with broker.subscribe(["default"]) as holder:
            held = await receive(holder, 1)
            (unseen,) = await holder._database.write(lambda conn: holder._holdings.claim(conn, 1))  # no loop has taken note

            def ends(delivery: Delivery) -> float:
                with sqlite3.connect(tmp_path / "q.db") as file:
                    query = "SELECT lease_until FROM taskiq_holds WHERE id = ?"
                    return file.execute(query, (delivery.receipt.hold,)).fetchone()[0]

            before = {item.body: ends(item) for item in (*held, unseen)}
            assert await anyio.to_thread.run_sync(holder.extend_from_thread, held)
            assert all(ends(item) > before[item.body] for item in (*held, unseen))


async def test_a_late_ack_of_what_was_forgotten_counts(tmp_path):
    async with SQLiteBroker(tmp_path / "q.db") as broker:
        await broker.kick_many(messages(b"late", b"never"))
        async with broker.subscribe(["default"]) as holder:
            late, _ = held = await receive(holder, 2)
            holder.forget(held)
            await holder.settle([Settlement(late, Verdict.ACK)])
        assert (await broker.admin.depth("default")).ready == 1


async def test_what_was_forgotten_comes_back_when_its_worker_leaves_or_is_buried(tmp_path):
    async with SQLiteBroker(tmp_path / "q.db") as broker:
        await broker.kick_many(messages(b"one"))
        async with broker.subscribe(["default"]) as dead, broker.subscribe(["default"]) as heir:
            dead.forget(await receive(dead, 1))
            await dead.extend([])  # behind the forgetting
            await heir.bury(dead.consumer, [])
            (back,) = await receive(heir, 1)
            assert back.deaths == 0
            heir.forget([back])
        async with broker.subscribe(["default"]) as last:
            assert [item.deaths for item in await receive(last, 1)] == [0]


async def test_leaving_a_locked_file_is_a_warning(tmp_path, caplog):
    async with SQLiteBroker(tmp_path / "q.db", lease=0.7) as broker:
        await broker.kick_many(messages(b"one"))
        other = sqlite3.connect(tmp_path / "q.db", isolation_level=None)
        async with broker.subscribe(["default"]) as subscription:
            await receive(subscription, 1)
            other.execute("BEGIN IMMEDIATE")
        other.execute("ROLLBACK")
        other.close()
        assert "comes back when its lease ends (0.7 s)" in caplog.text
        async with broker.subscribe(["default"]) as subscription:
            assert [item.body for item in await receive(subscription, 1)] == [b"one"]


async def test_a_clock_that_is_set_forward_takes_nothing_from_those_who_live(tmp_path, monkeypatch):
    real = time.time
    async with SQLiteBroker(tmp_path / "q.db", lease=3, poll_interval=0.05) as broker:
        await broker.kick_many(messages(b"held"))
        async with broker.subscribe(["default"]) as holder, broker.subscribe(["default"]) as other:
            held = await receive(holder, 1)
            with anyio.move_on_after(0.1):
                await other.receive(1)
            monkeypatch.setattr(time, "time", lambda: real() + 3600)
            stolen: list[Delivery] = []
            for _ in range(4):
                with anyio.move_on_after(0.2):
                    stolen += await other.receive(1)
                assert not stolen
                assert not await holder.extend(held)
            await broker.kick_many(messages(b"due", delay=0.1))
            assert [item.body for item in await receive(other, 1)] == [b"due"]
            (orphan,) = await receive(other, 1)
            assert (orphan.body, orphan.deaths) == (b"held", 1)


async def test_so_many_queues_and_no_more(tmp_path):
    queues = [f"q{number}" for number in range(500)]
    async with SQLiteBroker(tmp_path / "q.db") as broker:
        await broker.kick_many(messages(b"one", queue="q499"))
        async with broker.subscribe([*queues, "q0"]) as subscription:
            assert [item.queue for item in await receive(subscription, 1)] == ["q499"]
            with anyio.move_on_after(0.1):
                await subscription.receive(1)
        with pytest.raises(ConfigurationError, match="at most 500 queues, not 501"):
            broker.subscribe([*queues, "one more"])
