"""Taskiq's two retry middlewares: which policy their labels ask for."""

import logging
from typing import Any

import pytest

from taskiq_core.brokers.inmemory import InMemoryBroker
from taskiq_core.message import TaskiqMessage
from taskiq_core.middlewares import SimpleRetryMiddleware, SmartRetryMiddleware
from taskiq_core.retry import Retry
from taskiq_core.schedule_sources.label_based import LabelScheduleSource


def message(**labels: Any) -> TaskiqMessage:
    return TaskiqMessage("id", "name", labels)


class Task:
    def __init__(self, **labels: Any) -> None:
        self.labels = labels


@pytest.mark.parametrize("labels", [{}, {"retry_on_error": False}, {"retry_on_error": "False"}, {"max_retries": 5}])
def test_without_opting_in_there_is_no_policy(labels: dict[str, Any]) -> None:
    assert SimpleRetryMiddleware().retry_policy(message(**labels)) is None


@pytest.mark.parametrize(
    ("labels", "retries"),
    [({}, 2), ({"max_retries": 5}, 4), ({"max_retries": "5"}, 4), ({"max_retries": 1}, 0), ({"max_retries": 0}, 0)],
)
def test_max_retries_counts_runs(labels: dict[str, Any], retries: int) -> None:
    for opt_in in (True, "true", "True"):
        assert SimpleRetryMiddleware().retry_policy(message(retry_on_error=opt_in, **labels)) == Retry(retries)


def test_defaults_are_the_middlewares() -> None:
    middleware = SimpleRetryMiddleware(default_retry_count=7, default_retry_label=True)
    assert middleware.retry_policy(message()) == Retry(6)
    assert middleware.retry_policy(message(retry_on_error=False)) is None


def test_types_of_exceptions_of_the_task_beat_the_middlewares() -> None:
    middleware = SimpleRetryMiddleware(types_of_exceptions=[KeyError])
    asked = message(retry_on_error=True)
    assert middleware.retry_policy(asked) == Retry(2, on=(KeyError,))
    assert middleware.retry_policy(asked, Task()) == Retry(2, on=(KeyError,))
    assert middleware.retry_policy(asked, Task(types_of_exceptions=(OSError,))) == Retry(2, on=(OSError,))


def test_labels_that_cannot_be_read_ask_for_nothing_and_are_said(caplog: pytest.LogCaptureFixture) -> None:
    assert SimpleRetryMiddleware().retry_policy(message(retry_on_error=True, max_retries="many")) is None
    assert "Invalid max_retries label 'many'" in caplog.text


def test_smart_delays() -> None:
    asked = message(retry_on_error=True)
    fixed = SmartRetryMiddleware(default_delay=100).retry_policy(asked)
    assert fixed is not None
    assert [fixed.wait(n) for n in (1, 2, 3)] == [100, 100, 100]
    labelled = SmartRetryMiddleware().retry_policy(message(retry_on_error=True, delay="2.5"))
    assert labelled is not None
    assert labelled.wait(1) == 2.5
    growing = SmartRetryMiddleware(default_delay=5, use_delay_exponent=True, max_delay_exponent=12).retry_policy(asked)
    assert growing is not None
    assert [growing.wait(n) for n in (1, 2, 3)] == [5, 10, 12]
    spread = SmartRetryMiddleware(use_jitter=True).retry_policy(asked)
    assert spread is not None
    assert (spread.wait(1, lambda: 0.0), spread.wait(1, lambda: 1.0)) == (2.5, 5.0)


def test_options_that_change_nothing_are_said(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        SmartRetryMiddleware(no_result_on_retry=False, schedule_source=LabelScheduleSource(InMemoryBroker()))
    assert "no_result_on_retry" in caplog.text
    assert "schedule_source" in caplog.text


def test_a_schedule_source_that_is_none_is_a_type_error() -> None:
    with pytest.raises(TypeError, match="ScheduleSource, not str"):
        SmartRetryMiddleware(schedule_source="source")  # type: ignore[arg-type]


@pytest.mark.anyio
async def test_a_task_runs_as_often_as_the_label_says() -> None:
    broker = InMemoryBroker().with_middlewares(SimpleRetryMiddleware())
    runs: list[int] = []

    @broker.task(retry_on_error=True, max_retries=3)
    async def fail() -> None:
        runs.append(1)
        raise OSError("again")

    async with broker:
        result = await (await fail.kiq()).wait_result(timeout=10)
    assert isinstance(result.error, OSError)
    assert len(runs) == 3
