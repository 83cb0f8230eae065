"""Schedules in virtual time."""

from collections.abc import AsyncGenerator
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from taskiq_core import At, Cron, Every, InMemoryBroker
from taskiq_core.testing import TaskiqTest, taskiq_test

pytestmark = pytest.mark.anyio

BERLIN = ZoneInfo("Europe/Berlin")


@pytest.fixture
def broker() -> InMemoryBroker:
    return InMemoryBroker()


@pytest.fixture
async def t(broker: InMemoryBroker) -> AsyncGenerator[TaskiqTest, None]:
    async with taskiq_test(broker, start=datetime(2030, 3, 30, 12, tzinfo=UTC)) as t:
        yield t


async def test_every_day_at_one_time_over_the_change_to_summer(broker: InMemoryBroker, t: TaskiqTest) -> None:
    fired: list[str] = []

    @broker.task(schedule=Cron("30 2 * * *", tz="Europe/Berlin"))
    async def nightly() -> None:
        fired.append(t.now.astimezone(BERLIN).isoformat())

    await t.scheduler()
    await t.advance(days=3)
    assert fired == ["2030-03-31T03:00:00+02:00", "2030-04-01T02:30:00+02:00", "2030-04-02T02:30:00+02:00"]
    assert len(t.sent(nightly)) == 3


async def test_every_hour_over_the_change_to_winter() -> None:
    broker = InMemoryBroker()
    fired: list[datetime] = []

    @broker.task(schedule=Cron("0 * * * *", tz="Europe/Berlin"))
    async def hourly() -> None:
        fired.append(t.now)

    start = datetime(2030, 10, 26, 23, 30, tzinfo=UTC)
    async with taskiq_test(broker, start=start) as t:
        await t.scheduler()
        await t.advance(hours=4)
    first = start + timedelta(minutes=30)
    assert fired == [first + timedelta(hours=number) for number in range(4)]
    assert [moment.astimezone(BERLIN).hour for moment in fired] == [2, 2, 3, 4]


async def test_intervals_and_single_times(broker: InMemoryBroker, t: TaskiqTest) -> None:
    fired: list[tuple[str, timedelta]] = []
    start = t.now

    @broker.task(
        schedule=[
            Every(timedelta(minutes=15), kwargs={"why": "interval"}),
            At(start + timedelta(minutes=20), kwargs={"why": "once"}),
        ]
    )
    async def job(why: str) -> None:
        fired.append((why, t.now - start))

    await t.scheduler()
    await t.advance(minutes=50)
    assert fired == [
        ("interval", timedelta(minutes=15)),
        ("once", timedelta(minutes=20)),
        ("interval", timedelta(minutes=30)),
        ("interval", timedelta(minutes=45)),
    ]
    assert len(t.sent(job, why="once")) == 1


async def test_nothing_fires_without_a_scheduler(broker: InMemoryBroker, t: TaskiqTest) -> None:
    @broker.task(schedule=Every(60))
    async def job() -> None: ...

    await t.advance(days=1)
    assert not t.sent(job)
