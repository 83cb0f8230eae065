"""What a test of an application can let go wrong."""

import logging
from datetime import UTC, datetime

import anyio
import pytest

from taskiq_core import Concurrency, InMemoryBroker, Retry, SendTaskError
from taskiq_core.exceptions import BrokerError
from taskiq_core.testing import taskiq_test

pytestmark = pytest.mark.anyio

START = datetime(2030, 1, 1, tzinfo=UTC)


async def test_a_crashed_workers_messages_come_back_when_their_leases_end() -> None:
    broker = InMemoryBroker()
    seen: list[tuple[str, float]] = []

    @broker.task
    async def job() -> str:
        seen.append(("begins", (t.now - START).total_seconds()))
        try:
            await anyio.sleep(100)
        except BaseException:
            with anyio.CancelScope(shield=True):  # a dead process sends nothing
                await leak.kiq()
            raise
        seen.append(("ends", (t.now - START).total_seconds()))
        return "done"

    @broker.task
    async def leak() -> None: ...

    async with taskiq_test(broker, start=START, lease=30) as t:
        handle = await job.kiq()
        await t.advance(15)  # the lease was renewed after 10 s
        await t.crash_worker()
        assert await handle == "done"
        assert seen == [("begins", 0), ("begins", 40), ("ends", 140)]
        assert not t.sent(leak)


async def test_without_another_worker_nothing_runs() -> None:
    broker = InMemoryBroker()

    @broker.task
    async def job() -> None: ...

    async with taskiq_test(broker) as t:
        await t.crash_worker(replace=False)
        await job.kiq()
        with pytest.raises(RuntimeError, match="no worker"):
            await t.run()
        assert len(t.sent(job)) == 1


async def test_messages_are_delivered_twice() -> None:
    broker = InMemoryBroker()
    ran: list[str] = []

    @broker.task
    async def job(name: str) -> None:
        ran.append(name)
        await anyio.sleep(60)

    async with taskiq_test(broker, start=START) as t:
        ended = await job.kiq("ended")
        await t.run()
        await t.redeliver(ended)
        assert ran == ["ended"] * 2
        running = await job.kiq("running")
        await t.advance(1)
        await t.redeliver(running)
        assert ran[2:] == ["running"] * 2
        await t.run()
        await t.redeliver(await job.kicker().with_delay(60).kiq("waiting"))
        await t.drain()
        assert ran[4:] == ["waiting"]
        with pytest.raises(LookupError, match="Nothing was sent under the id"):
            await t.redeliver("unknown")


async def test_a_send_fails_or_only_seems_to() -> None:
    broker = InMemoryBroker()
    ran: list[int] = []

    @broker.task
    async def job(number: int) -> None:
        ran.append(number)

    async with taskiq_test(broker) as t:
        t.fail_next("send", times=2)
        t.fail_next("send", OSError("reset"), after=True)
        for number in range(4):
            try:
                await job.kiq(number)
            except SendTaskError as error:
                assert "broke the connection" in str(error) or "reset" in str(error)
        await t.run()
        assert ran == [2, 3]
        assert [sent.arguments["number"] for sent in t.sent(job)] == [2, 3]


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("point", ["receive", "settle", "store"])
async def test_a_worker_gets_over_an_outage(point: str, after: bool, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL)
    broker = InMemoryBroker()
    ran: list[str] = []

    @broker.task(retry=Retry(2, delay=5))
    async def job(name: str) -> str:
        ran.append(name)
        return name

    async with taskiq_test(broker, start=START, lease=30) as t:
        t.fail_next(point, BrokerError(reason="away"), times=3, after=after)  # type: ignore[arg-type]
        handles = [await job.kiq(name) for name in "abc"]
        await t.drain()
        assert [await handle for handle in handles] == ["a", "b", "c"]
        assert sorted(ran) == ["a", "b", "c"]


async def test_a_crashed_workers_places_come_back_when_its_lease_ends() -> None:
    broker = InMemoryBroker()
    begins: list[tuple[str, float]] = []

    @broker.task(limits=[Concurrency(1)])
    async def job(name: str) -> None:
        begins.append((name, (t.now - START).total_seconds()))
        await anyio.sleep(1000)

    async with taskiq_test(broker, start=START, lease=30, workers=2) as t:
        await job.kiq("first")
        await t.advance(5)
        await job.kiq("second")
        await t.advance(5)
        await t.crash_worker()
        await t.crash_worker()
        await t.drain()
    assert begins[0] == ("first", 0)
    assert 30 <= begins[1][1] <= 70
    assert [name for name, _ in begins[1:]] in (["first", "second"], ["second", "first"])
    assert begins[2][1] >= begins[1][1] + 1000
