"""Several processes, threads and event loops on one file."""

import subprocess
import sys
import tempfile
import threading
from collections.abc import Sequence

import anyio
import pytest

from taskiq_core.delivery import Settlement, Verdict
from taskiq_core.ids import new_task_id
from taskiq_core.message import BrokerMessage
from taskiq_core_brokers_sqlite import Database, SQLiteBroker

pytestmark = pytest.mark.anyio

RECEIVE = """
import sys, anyio
from taskiq_core_brokers_sqlite import SQLiteBroker

async def main():
    async with SQLiteBroker(sys.argv[1], lease=60, poll_interval=float(sys.argv[2])) as broker:
        async with broker.subscribe(["default", "other"]) as subscription:
            print(subscription.consumer, flush=True)
            while True:
                for delivery in await subscription.receive(10):
                    print(delivery.body.decode(), flush=True)

anyio.run(main)
"""

SEND = """
import sys, anyio
from taskiq_core.ids import new_task_id
from taskiq_core.message import BrokerMessage
from taskiq_core_brokers_sqlite import SQLiteBroker

async def main():
    async with SQLiteBroker(sys.argv[1]) as broker:
        for _ in range(50):
            await broker.kick_many([BrokerMessage(new_task_id(), "a.task", b"") for _ in range(4)])

anyio.run(main)
"""

FORK = """
import os, sys, anyio
from taskiq_core.exceptions import SendTaskError
from taskiq_core.ids import new_task_id
from taskiq_core.message import BrokerMessage
from taskiq_core_brokers_sqlite import SQLiteBroker

broker = SQLiteBroker(sys.argv[1])

async def send():
    await broker.kick_many([BrokerMessage(new_task_id(), "a.task", b"")])

async def child():
    try:
        await send()
    except SendTaskError as error:
        assert "fork" in str(error), error
    else:
        raise AssertionError("the parent's connection was used")
    await broker.shutdown()
    await broker.startup()
    await send()
    await broker.shutdown()

anyio.run(broker.startup)
anyio.run(send)
if os.fork() == 0:
    anyio.run(child)
else:
    assert os.wait()[1] == 0
    anyio.run(send)
    anyio.run(broker.shutdown)
"""


def run(code: str, *arguments: object) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, "-c", code, *map(str, arguments)], stdout=subprocess.PIPE, text=True)


async def line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return (await anyio.to_thread.run_sync(process.stdout.readline)).strip()


def messages(bodies: Sequence[bytes], **fields) -> list[BrokerMessage]:
    return [BrokerMessage(new_task_id(), "a.task", body, **fields) for body in bodies]


async def test_processes_that_start_together_make_one_database(tmp_path):
    senders = [run(SEND, tmp_path / "q.db") for _ in range(4)]
    for sender in senders:
        assert await anyio.to_thread.run_sync(sender.wait) == 0
    async with SQLiteBroker(tmp_path / "q.db") as broker:
        assert (await broker.admin.depth("default")).ready == 4 * 50 * 4


async def test_a_forked_process_starts_anew(tmp_path):
    assert await anyio.to_thread.run_sync(run(FORK, tmp_path / "q.db").wait) == 0
    async with SQLiteBroker(tmp_path / "q.db") as broker:
        assert (await broker.admin.depth("default")).ready == 3


async def test_a_waiting_process_is_woken_and_not_by_its_own_poll(tmp_path):
    async with SQLiteBroker(tmp_path / "q.db") as broker:
        assert broker._require_database().doorbell.works
        receiver = run(RECEIVE, tmp_path / "q.db", 3600)
        try:
            await line(receiver)
            with anyio.fail_after(20):
                for number in range(5):
                    await broker.kick_many(messages([b"%d" % number], queue="other"))
                    assert await line(receiver) == str(number)
        finally:
            receiver.kill()
            receiver.wait()


async def test_a_killed_process_gives_back_when_it_is_buried(tmp_path):
    sent = messages([b"one", b"two"])
    async with SQLiteBroker(tmp_path / "q.db", lease=60) as broker:
        await broker.kick_many(sent)
        receiver = run(RECEIVE, tmp_path / "q.db", 1)
        consumer = await line(receiver)
        assert {await line(receiver), await line(receiver)} == {"one", "two"}
        receiver.kill()
        receiver.wait()
        async with broker.subscribe(["default"]) as subscription:
            await subscription.bury(consumer, [sent[0].task_id])
            with anyio.fail_after(10):
                back = await subscription.receive(10)
            assert {(item.body, item.deaths, item.accused) for item in back} == {(b"one", 1, True), (b"two", 1, False)}


async def test_sockets_of_the_dead_are_swept_and_the_living_still_woken(tmp_path):
    async with SQLiteBroker(tmp_path / "q.db") as broker:
        doorbell = broker._require_database().doorbell
        receiver = run(RECEIVE, tmp_path / "q.db", 3600)
        await line(receiver)
        with anyio.fail_after(10):
            while not (left := list(doorbell._directory.iterdir())):
                await anyio.sleep(0.01)
        receiver.kill()
        receiver.wait()
        await broker.kick_many(messages([b""], queue="other"))
        assert not any(name.exists() for name in left)


async def test_without_sockets_a_poll_serves(tmp_path, monkeypatch):
    deep = tmp_path / ("d" * 60)
    deep.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(deep))
    async with SQLiteBroker(tmp_path / "q.db") as broker:
        assert not broker._require_database().doorbell.works
        async with broker.subscribe(["default"]) as subscription, anyio.create_task_group() as group:
            with anyio.fail_after(10):
                group.start_soon(broker.kick_many, messages([b"here"]))
                assert [item.body for item in await subscription.receive(10)] == [b"here"]


async def test_one_process_opens_a_file_once(tmp_path):
    (tmp_path / "link.db").symlink_to(tmp_path / "q.db")
    first, second = await Database.open(str(tmp_path / "q.db")), await Database.open(str(tmp_path / "link.db"))
    assert first is second
    await first.close()
    assert await second.read(lambda conn: conn.execute("SELECT count(*) FROM taskiq_messages").fetchone()) == (0,)
    await second.close()
    third = await Database.open(str(tmp_path / "q.db"))
    assert third is not first
    await third.close()


async def test_two_event_loops_share_a_database(tmp_path):
    errors: list[BaseException] = []

    async def send() -> None:
        async with SQLiteBroker(tmp_path / "q.db") as broker:
            for _ in range(20):
                await broker.kick_many(messages([b""]))

    def in_thread(backend: str) -> None:
        try:
            anyio.run(send, backend=backend)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=in_thread, args=(name,)) for name in ("asyncio", "trio")]
    for thread in threads:
        thread.start()
    await send()
    for thread in threads:
        await anyio.to_thread.run_sync(thread.join)
    assert errors == []
    async with SQLiteBroker(tmp_path / "q.db") as broker:
        assert (await broker.admin.depth("default")).ready == 60


async def test_only_what_is_extended_is_kept(tmp_path):
    async with SQLiteBroker(tmp_path / "q.db", lease=0.6) as broker:
        await broker.kick_many(messages([b"kept", b"forgotten"]))
        async with broker.subscribe(["default"]) as holder, broker.subscribe(["default"]) as other:
            held = {item.body: item for item in await holder.receive(2)}
            back = []
            with anyio.fail_after(20):
                while not back:
                    assert list(await holder.extend([held[b"kept"]])) == []
                    with anyio.move_on_after(0.1):
                        back += await other.receive(2)
            assert [item.body for item in back] == [b"forgotten"]
            assert list(await holder.extend(list(held.values()))) == [held[b"forgotten"]]
            await holder.settle([Settlement(held[b"kept"], Verdict.ACK)])
        assert (await broker.admin.depth("default")).ready == 1


async def test_a_retry_goes_to_the_end_and_a_release_does_not(tmp_path):
    async with SQLiteBroker(tmp_path / "q.db") as broker:
        await broker.kick_many(messages([b"first", b"second", b"third"]))
        async with broker.subscribe(["default"]) as subscription:
            first, second, _ = await subscription.receive(3)
            await subscription.settle([Settlement(first, Verdict.RETRY), Settlement(second, Verdict.RELEASE)])
        async with broker.subscribe(["default"]) as subscription:
            assert [item.body for item in await subscription.receive(3)] == [b"second", b"third", b"first"]


async def test_the_best_of_several_queues_comes_first(tmp_path):
    async with SQLiteBroker(tmp_path / "q.db") as broker:
        for queue, priority in (("a", 5), ("b", 9), ("a", 7), ("c", 8), ("b", 0)):
            await broker.kick_many(messages([f"{queue}{priority}".encode()], queue=queue, priority=priority))
        async with broker.subscribe(["a", "b", "a"]) as subscription:
            assert [item.body for item in await subscription.receive(3)] == [b"b9", b"a7", b"a5"]


async def test_holds_do_not_pile_up(tmp_path):
    async with SQLiteBroker(tmp_path / "q.db") as broker:
        await broker.kick_many(messages([b""] * 10))
        async with broker.subscribe(["default"]) as subscription:
            held = [(await subscription.receive(2)) for _ in range(5)]
            verdicts = [Verdict.ACK, Verdict.RETRY, Verdict.REJECT, Verdict.RELEASE, Verdict.ACK]
            pairs = zip((item for pair in held for item in pair), verdicts * 2, strict=True)
            await subscription.settle([Settlement(item, verdict) for item, verdict in pairs])
            count = await broker._require_database().read(
                lambda conn: conn.execute("SELECT count(*) FROM taskiq_holds").fetchone()
            )
            assert count == (0,)
            assert subscription._holdings._held == {}
