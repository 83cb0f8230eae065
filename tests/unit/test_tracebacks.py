"""What the author of a task gets to read when it fails."""

from typing import Any

import pytest

from taskiq_core import InMemoryBroker

pytestmark = pytest.mark.anyio


def inner() -> None:
    raise KeyError("the reason")


async def fails() -> None:
    inner()


def fails_in_a_thread() -> None:
    inner()


async def takes_a_number(number: int) -> None: ...


@pytest.mark.parametrize("function", [fails, fails_in_a_thread])
async def test_a_traceback_begins_in_the_task(function: Any) -> None:
    broker = InMemoryBroker()
    task = broker.register_task(function)
    async with broker:
        text = (await (await task.kiq()).wait_result(timeout=10)).traceback
    assert text is not None
    files = [line.split('"')[1] for line in text.splitlines() if line.startswith("  File")]
    assert files == [__file__, __file__]


async def test_wrong_arguments_have_no_frames_to_show() -> None:
    broker = InMemoryBroker()
    task = broker.register_task(takes_a_number)
    async with broker:
        text = (await (await task.kicker().kiq("x")).wait_result(timeout=10)).traceback  # type: ignore[arg-type]
    assert text is not None
    assert text.startswith("taskiq_core.exceptions.ArgumentError")
