"""Mistakes of the first hour are found where they are made."""

import logging
import re
from datetime import datetime
from typing import Any

import pytest

from taskiq_core import (
    At,
    Cron,
    Every,
    InMemoryBroker,
    Rate,
    Retry,
    TaskiqMessage,
    TaskiqMiddleware,
    Unique,
    gather,
)
from taskiq_core.exceptions import ConfigurationError, ResultUnreadableError
from taskiq_core.worker import WorkerSettings

NAN = float("nan")
Pair = tuple[int, int]
WRONG = [
    Cron("61 * * * *"),
    Cron("* * * * *", tz="Mars/Olympus"),
    Cron("* * * * *", misfire="sometimes"),  # type: ignore[arg-type]
    Every(0),
    Every(NAN),
    Every("1h"),  # type: ignore[arg-type]
    At("tomorrow"),  # type: ignore[arg-type]
    "* * * * *",
]


@pytest.mark.parametrize("schedule", WRONG, ids=repr)
def test_a_schedule_that_cannot_be_read_is_refused_at_once(schedule: Any) -> None:
    with pytest.raises(ConfigurationError):
        InMemoryBroker().register_task(print, "task", schedule=schedule)


@pytest.mark.parametrize(("name", "value"), [("limits", 1), ("unique", "perhaps"), ("on_failure", 1), ("batch", 0)])
def test_an_option_that_cannot_be_read_is_refused_at_once(name: str, value: Any) -> None:
    with pytest.raises(ConfigurationError, match=f"{name}.*cannot be read"):
        InMemoryBroker().register_task(print, "task", **{name: value})


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("retries", "retry"),
        ("time_limit", "timeout"),
        ("ttl", "result_ttl"),
        ("concurrency", "limits=[Concurrency(10)]"),
        ("countdown", "delay"),
        ("deadline", "expires"),
        ("on_error", "on_failure"),
        ("idempotency_key", "with_idempotency_key()"),
        ("prio", "prio"),
        ("max_retries", "max_retries"),
    ],
)
def test_other_names_of_options_are_pointed_out(name: str, meant: str, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        InMemoryBroker().register_task(print, "task", **{name: 3})
    assert (meant in caplog.text) is (name != meant)


def test_a_key_in_the_place_of_unique_is_shown_where_it_belongs() -> None:
    with pytest.raises(ConfigurationError, match=r"as in Unique\(key='{order}'\)"):
        InMemoryBroker().register_task(print, "task", unique="{order}")


@pytest.mark.parametrize("option", [{"limits": Rate(1, key="phone")}, {"unique": Unique(key="")}], ids=repr)
def test_a_key_that_would_be_the_same_for_every_call_is_refused(option: dict[str, Any]) -> None:
    async def text(phone: str) -> None: ...

    with pytest.raises(ConfigurationError, match=r"a parameter in braces, as in '{phone}'.* name="):
        InMemoryBroker().register_task(text, "text", **option)


@pytest.mark.parametrize("value", ["5m", None, [], -1, NAN])
def test_a_time_that_is_none_is_shown(value: Any) -> None:
    with pytest.raises(ValueError, match=rf"expected seconds.* got {re.escape(repr(value))}"):
        Unique(ttl=value)


@pytest.mark.parametrize("name", ["on", "never"])
@pytest.mark.parametrize("value", ["ValueError", ["ValueError"], ValueError("x"), 3, int], ids=repr)
def test_retry_takes_exception_classes_alone(name: str, value: Any) -> None:
    with pytest.raises(ValueError, match=f"{name} takes exception classes"):
        Retry(3, **{name: value})


def test_retry_takes_one_class_or_several() -> None:
    assert Retry(on=OSError).on == Retry(on=[OSError]).on == (OSError,)  # type: ignore[arg-type]


@pytest.mark.parametrize("queue", ["", "a,b", 5])
def test_a_queue_has_a_name_that_workers_can_be_given(queue: Any) -> None:
    broker = InMemoryBroker()
    with pytest.raises(ConfigurationError, match="queue"):
        broker.register_task(print, "one", queue=queue)
    with pytest.raises(ValueError, match="queue"):
        broker.register_task(print, "two").kicker().with_queue(queue)


def test_a_time_without_a_zone_is_taken_as_utc_and_warned_about(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        InMemoryBroker().register_task(print, "task").kicker().with_eta(datetime(2030, 1, 1))
    assert "without a time zone" in caplog.text


def test_nan_is_no_number_of_seconds() -> None:
    with pytest.raises(ConfigurationError):
        WorkerSettings(grace=NAN)


@pytest.mark.anyio
async def test_nan_is_no_timeout() -> None:
    with pytest.raises(ValueError, match="nan"):
        await gather(timeout=NAN)


@pytest.mark.anyio
async def test_keys_and_members_that_are_tuples_come_back() -> None:
    broker = InMemoryBroker()

    @broker.task
    async def swap(
        pairs: set[tuple[int, int]], named: dict[tuple[int, int], list[int]]
    ) -> dict[tuple[int, int], set[tuple[int, int]]]:
        assert named == {(1, 2): [3]}
        return {(5, 6): pairs}

    async with broker:
        assert await (await swap.kiq({(1, 2)}, {(1, 2): [3]})) == {(5, 6): {(1, 2)}}


@pytest.mark.anyio
async def test_a_handle_from_an_id_gives_typed_results_with_the_task() -> None:
    broker = InMemoryBroker()

    @broker.task
    async def pair() -> tuple[int, str]:
        return 1, "x"

    async with broker:
        task_id = (await pair.kiq()).task_id
        assert await broker.handle(task_id, pair) == (1, "x")
        assert await broker.handle(task_id) == [1, "x"]


@pytest.mark.anyio
async def test_a_result_that_cannot_be_read_ends_the_wait_at_once() -> None:
    broker = InMemoryBroker()

    @broker.task
    async def work() -> None: ...

    def load(body: bytes) -> Any:
        raise ResultUnreadableError(reason="it is of another release")

    async with broker:
        broker.result_backend.load = load  # type: ignore[method-assign]
        with pytest.raises(ResultUnreadableError, match="another release"):
            await (await work.kiq()).wait_result()


@pytest.mark.anyio
async def test_a_hook_that_ends_a_task_before_it_runs_is_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    class Refuses(TaskiqMiddleware):
        def pre_execute(self, message: TaskiqMessage) -> TaskiqMessage:
            raise PermissionError("not today")

    broker = InMemoryBroker()
    broker.add_middlewares(Refuses())

    @broker.task
    async def work() -> None: ...

    async with broker:
        assert (await (await work.kiq()).wait_result()).is_err
    assert "PermissionError: not today" in caplog.text
