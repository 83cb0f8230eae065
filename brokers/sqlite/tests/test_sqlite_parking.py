"""Parked messages and dead letters in a file, beyond the contract: other processes, other priorities, age."""

import subprocess
import sys

import anyio
import pytest

from taskiq_core import clock
from taskiq_core.delivery import Settlement, Verdict
from taskiq_core.ids import new_task_id
from taskiq_core.message import BrokerMessage
from taskiq_core_brokers_sqlite import SQLiteBroker

pytestmark = pytest.mark.anyio

RECEIVE = """
import sys, anyio
from taskiq_core_brokers_sqlite import SQLiteBroker

async def main():
    async with SQLiteBroker(sys.argv[1], poll_interval=3600) as broker:
        async with broker.subscribe(["default"]) as subscription:
            print("waiting", flush=True)
            while True:
                for delivery in await subscription.receive(10):
                    print(delivery.body.decode(), flush=True)

anyio.run(main)
"""


def message(body: bytes, **fields) -> BrokerMessage:
    return BrokerMessage(new_task_id(), "a.task", body, **fields)


async def test_a_call_rings_for_other_processes(tmp_path):
    async with SQLiteBroker(tmp_path / "q.db") as broker, broker.subscribe(["default"]) as subscription:
        for number in range(3):
            await broker.kick_many([message(b"%d" % number)])
            held = await subscription.receive(10)
            await subscription.settle([Settlement(item, Verdict.RELEASE, delay=3600, park="slot") for item in held])
        receiver = subprocess.Popen([sys.executable, "-c", RECEIVE, tmp_path / "q.db"], stdout=subprocess.PIPE, text=True)
        assert receiver.stdout is not None
        try:
            with anyio.fail_after(20):
                assert await anyio.to_thread.run_sync(receiver.stdout.readline) == "waiting\n"
                for number in range(3):
                    await subscription.unpark({"slot": 1})
                    assert await anyio.to_thread.run_sync(receiver.stdout.readline) == f"{number}\n"
        finally:
            receiver.kill()
            receiver.wait()
            receiver.stdout.close()


async def test_the_called_keep_their_priority(tmp_path):
    async with SQLiteBroker(tmp_path / "q.db") as broker, broker.subscribe(["default"]) as subscription:
        await broker.kick_many([message(b"first low", priority=1), message(b"second low", priority=1)])
        held = await subscription.receive(2)
        await subscription.settle([Settlement(item, Verdict.RELEASE, delay=3600, park="slot") for item in held])
        await broker.kick_many([message(b"plain"), message(b"third low", priority=1)])
        await subscription.unpark({"slot": 2})
        with anyio.fail_after(10):
            back = await subscription.receive(10)
        assert [item.body for item in back] == [b"plain", b"first low", b"second low", b"third low"]


async def test_dead_letters_go_when_they_are_old(tmp_path):
    broker = SQLiteBroker.from_url(f"sqlite:///{tmp_path / 'q.db'}?dead_ttl=60")
    async with broker, broker.subscribe(["default"]) as subscription:
        await broker.kick_many([message(b"bad")])
        await subscription.settle([Settlement(item, Verdict.REJECT) for item in await subscription.receive(1)])
        await subscription.extend([])
        assert len(await broker.admin.dead_letters()) == 1
        [letter] = await broker.admin.dead_letters(queue="default")
        database = broker._require_database()
        await database.write(lambda conn: conn.execute("UPDATE taskiq_dead_letters SET died_at = ?", (clock.time() - 61,)))
        # Even before a worker deletes it.
        assert not await broker.admin.dead_letters()
        assert not await broker.admin.dead_letters(queue="default")
        assert not await broker.admin.find_dead([letter.id])
        assert await broker.admin.requeue_dead([letter.id], {letter.id: b"good"}) == 0
        count = "SELECT count(*) FROM taskiq_dead_letters"
        assert await database.read(lambda conn: conn.execute(count).fetchone()[0]) == 1
        await subscription.extend([])
        assert await database.read(lambda conn: conn.execute(count).fetchone()[0]) == 0


async def test_kept_for_ever_means_that_nothing_is_written(tmp_path):
    async with SQLiteBroker(tmp_path / "q.db") as broker, broker.subscribe(["default"]) as subscription:
        await broker.kick_many([message(b"bad")])
        await subscription.settle([Settlement(item, Verdict.REJECT) for item in await subscription.receive(1)])
        database = broker._require_database()
        await database.write(lambda conn: conn.execute("UPDATE taskiq_dead_letters SET died_at = 0"))
        before = await database.write(lambda conn: conn.total_changes)
        assert not await subscription.extend([])
        await subscription.unpark({"nobody": 3})
        assert await database.write(lambda conn: conn.total_changes) == before
        assert len(await broker.admin.dead_letters()) == 1


async def test_one_priority_claims_by_one_statement_but_for_a_look_once_in_a_share(tmp_path):
    async with SQLiteBroker(tmp_path / "q.db") as broker, broker.subscribe(["default"]) as subscription:
        await broker.kick_many([message(b"") for _ in range(64)])
        seen: list[str] = []
        await broker._require_database().write(lambda conn: conn.set_trace_callback(seen.append))
        for _ in range(64):
            await subscription.receive(1)
        claims = [text for text in seen if "attempt + 1" in text]
        looks = [text for text in seen if "max(priority)" in text]
        assert (len(claims), len(looks)) == (64, 3 * 3)
