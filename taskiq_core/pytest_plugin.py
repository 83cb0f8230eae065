"""The pytest plugin: `taskiq`, an application's tasks under test, and what it is made of.

pytest imports it in every project of an environment, so nothing else of `taskiq_core` is touched before a test asks for one of
these fixtures.
"""

from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

import pytest

if TYPE_CHECKING:
    from taskiq_core.broker import AsyncBroker
    from taskiq_core.testing import TaskiqTest

_BROKER = "taskiq_broker"


class Enter(Protocol):
    """`taskiq_core.testing.taskiq_test`, with the keywords of the test's marker unless it is given others."""

    def __call__(self, broker: "AsyncBroker", **options: Any) -> "AbstractAsyncContextManager[TaskiqTest]": ...


def pytest_addoption(parser: pytest.Parser) -> None:
    """The name of the broker."""
    parser.addini(_BROKER, "the broker of the fixture `taskiq`, or a function that makes it: `module:name`", default="")


def pytest_configure(config: pytest.Config) -> None:
    """The marker."""
    config.addinivalue_line("markers", "taskiq(**options): keywords of taskiq_test() for the fixtures of the test")


@pytest.fixture
def taskiq_broker(request: pytest.FixtureRequest) -> "AsyncBroker":
    """The broker whose tasks are tested: what the option `taskiq_broker` names. Override it to choose another way."""
    reference = str(request.config.getini(_BROKER))
    if not reference:
        pytest.fail(
            f"Which broker? Say `{_BROKER} = module:name` in pytest's configuration, or write a fixture of that name.",
            pytrace=False,
        )
    from taskiq_core.cli.app import load_broker

    return load_broker(reference)


@pytest.fixture
def taskiq_test(request: pytest.FixtureRequest) -> Enter:
    """For tests with several brokers, or one of their own: `async with taskiq_test(broker) as t`."""
    from taskiq_core.testing import taskiq_test as enter

    options: dict[str, Any] = {}
    for marker in reversed(list(request.node.iter_markers("taskiq"))):
        if marker.args:
            pytest.fail(f"The marker `taskiq` takes keywords of taskiq_test() alone, not {marker.args[0]!r}", pytrace=False)
        options |= marker.kwargs
    return partial(enter, **options)


@pytest.fixture
async def taskiq(taskiq_broker: "AsyncBroker", taskiq_test: Enter) -> "AsyncGenerator[TaskiqTest, None]":
    """The tasks of `taskiq_broker`, on memory, in virtual time, with a real worker."""
    async with taskiq_test(taskiq_broker) as kit:
        yield kit
