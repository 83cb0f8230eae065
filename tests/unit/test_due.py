"""When schedules are due."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from taskiq_core.due import due_times, last_due_time, timetable
from taskiq_core.exceptions import ConfigurationError
from taskiq_core.schedule import ScheduledTask

BERLIN = ZoneInfo("Europe/Berlin")
FORWARD = datetime(2026, 3, 29, tzinfo=BERLIN)  # 02:00 becomes 03:00
BACK = datetime(2026, 10, 25, tzinfo=BERLIN)  # 03:00 becomes 02:00


def due(after: datetime, until: datetime, **when: object) -> list[datetime]:
    schedule = ScheduledTask(task_name="t", **when)  # type: ignore[arg-type]
    return list(due_times(timetable(schedule), after, until))


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def three_days_around(day: datetime) -> tuple[datetime, datetime]:
    return day - timedelta(days=1), day + timedelta(days=2)


def test_a_daily_job_in_the_gap_fires_once_when_the_gap_ends() -> None:
    fires = due(*three_days_around(FORWARD), cron="30 2 * * *", cron_offset="Europe/Berlin")
    assert fires == [utc("2026-03-28T01:30"), utc("2026-03-29T01:00"), utc("2026-03-30T00:30")]


def test_a_daily_job_in_the_repeated_hour_fires_at_its_first_coming() -> None:
    fires = due(*three_days_around(BACK), cron="30 2 * * *", cron_offset="Europe/Berlin")
    assert fires == [utc("2026-10-24T00:30"), utc("2026-10-25T00:30"), utc("2026-10-26T01:30")]


def test_asking_within_the_repeated_hour_does_not_bring_it_back() -> None:
    between = utc("2026-10-25T00:45")
    second_time = utc("2026-10-25T01:15")
    for moment in (between, second_time):
        assert due(moment, utc("2026-10-26T00:00"), cron="30 2 * * *", cron_offset="Europe/Berlin") == []


def test_times_that_fall_into_the_gap_together_fire_once() -> None:
    fires = due(*three_days_around(FORWARD), cron="0,20,40 2 29 3 *", cron_offset="Europe/Berlin")
    assert fires == [utc("2026-03-29T01:00")]


@pytest.mark.parametrize("day", [FORWARD, BACK], ids=["forward", "back"])
@pytest.mark.parametrize("zone", ["Europe/Berlin", "Australia/Lord_Howe", "America/Santiago", "Africa/Cairo"])
def test_a_job_of_every_hour_goes_by_elapsed_time(zone: str, day: datetime) -> None:
    after, until = three_days_around(day)
    fires = due(after, until, cron="*/15 * * * *", cron_offset=zone)
    assert fires == [after.astimezone(UTC) + timedelta(minutes=15 * n) for n in range(1, len(fires) + 1)]
    assert fires[-1] == until


@pytest.mark.parametrize("zone", ["Europe/Berlin", "Australia/Lord_Howe", "America/Santiago", "Africa/Cairo"])
@pytest.mark.parametrize("hour", range(0, 24, 5))
def test_a_daily_job_fires_once_a_day_all_year(zone: str, hour: int) -> None:
    start = datetime(2026, 1, 1, tzinfo=ZoneInfo(zone))
    fires = due(
        start - timedelta(seconds=1), start.replace(year=2027) - timedelta(seconds=1), cron=f"30 {hour} * * *", cron_offset=zone
    )
    days = [fire.astimezone(ZoneInfo(zone)).date() for fire in fires]
    assert len(days) == len(set(days)) == 365


def test_sixth_field_is_seconds() -> None:
    start = utc("2026-01-01T00:00")
    assert due(start, start + timedelta(minutes=1), cron="* * * * * */20") == [
        start + timedelta(seconds=n) for n in (20, 40, 60)
    ]


def test_keywords() -> None:
    assert due(utc("2026-01-01T00:00"), utc("2026-01-03T00:00"), cron="@daily") == [
        utc("2026-01-02T00:00"),
        utc("2026-01-03T00:00"),
    ]


@pytest.mark.parametrize("offset", [timedelta(hours=2), "PT2H"], ids=str)
def test_an_offset_may_be_a_distance(offset: object) -> None:
    assert due(utc("2026-01-01T00:00"), utc("2026-01-02T00:00"), cron="0 9 * * *", cron_offset=offset) == [
        utc("2026-01-01T07:00")
    ]


@pytest.mark.parametrize(
    ("when", "why"),
    [
        ({"cron": "61 * * * *"}, "out of range"),
        ({"cron": "whenever"}, "'whenever'"),
        ({"cron": ""}, "''"),
        ({"cron": "0 0 30 2 *"}, "never due"),
        ({"cron": "r 2 * * *"}, "random"),
        ({"cron": "R(0-5) 2 * * *"}, "random"),
        ({"cron": "0 2 * * *", "cron_offset": "Europe/Bärlin"}, "no time zone 'Europe/Bärlin'"),
        ({"cron": "0 2 * * *", "cron_offset": "Europe"}, "no time zone 'Europe'"),
        ({"cron": "0 2 * * *", "cron_offset": timedelta(hours=25)}, "no time zone"),
    ],
)
def test_what_cannot_be_read_is_refused_in_a_sentence(when: dict[str, object], why: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        timetable(ScheduledTask(task_name="t", **when))  # type: ignore[arg-type]
    assert why in str(caught.value)


def test_month_and_day_names_are_not_taken_for_random_fields() -> None:
    assert timetable(ScheduledTask(task_name="t", cron="0 0 * mar,apr thu,fri")).next_after(utc("2026-01-01T00:00"))


def test_intervals_lie_on_one_grid_wherever_one_starts() -> None:
    start = utc("2026-01-01T10:07:13.5")
    quarter = [utc("2026-01-01T10:15"), utc("2026-01-01T10:30")]
    assert due(start, start + timedelta(minutes=25), interval=900) == quarter
    assert due(start + timedelta(seconds=3), start + timedelta(minutes=25), interval=timedelta(minutes=15)) == quarter


def test_an_interval_on_the_grid_point_gives_the_next() -> None:
    start = utc("2026-01-01T10:00")
    assert due(start, start + timedelta(seconds=3), interval=1.5) == [
        start + timedelta(seconds=1.5),
        start + timedelta(seconds=3),
    ]


def test_a_naive_time_is_utc() -> None:
    assert due(utc("2025-01-01T00:00"), utc("2027-01-01T00:00"), time=datetime(2026, 1, 1)) == [utc("2026-01-01T00:00")]


def test_a_time_is_due_once() -> None:
    moment = datetime(2026, 1, 1, 1, tzinfo=BERLIN)
    assert due(moment, moment + timedelta(days=9), time=moment) == []


def test_the_last_due_time_is_found_from_far_behind() -> None:
    monthly = timetable(ScheduledTask(task_name="t", cron="0 0 1 * *"))
    assert last_due_time(monthly, utc("2026-01-15T00:00"), utc("2026-06-30T00:00")) == utc("2026-06-01T00:00")
    assert last_due_time(monthly, utc("2026-06-01T00:00"), utc("2026-06-30T00:00")) is None
