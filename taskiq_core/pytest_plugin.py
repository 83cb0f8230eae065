"""The pytest plugin: `taskiq`, an application's tasks under test, and what it is made of.

pytest imports it in every project of an environment, so nothing else of `taskiq_core` is touched before a test asks for one of
these fixtures.
"""

from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import AbstractAsyncContextManager
from functools import partial
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any, Protocol

import pytest

if TYPE_CHECKING:
    from taskiq_core.broker import AsyncBroker
    from taskiq_core.testing import TaskiqTest

_BROKER = "taskiq_broker"
_CLAIMED_TWICE = (
    "Both anyio and pytest-asyncio want to run this test. In pytest-asyncio's auto mode leave out pytest.mark.anyio, "
    "or say `asyncio_mode = strict`."
)
_SCOPES = "function", "class", "module", "package", "session"
"""Of pytest-asyncio's event loops."""


class Enter(Protocol):
    """`taskiq_core.testing.taskiq_test`, with the keywords of the test's marker unless it is given others."""

    def __call__(self, broker: "AsyncBroker", **options: Any) -> "AbstractAsyncContextManager[TaskiqTest]": ...


def pytest_addoption(parser: pytest.Parser) -> None:
    """The name of the broker."""
    parser.addini(_BROKER, "the broker of the fixture `taskiq`, or a function that makes it: `module:name`", default="")


def pytest_configure(config: pytest.Config) -> None:
    """The marker; and a fixture for each event loop of pytest-asyncio, if that is there."""
    config.addinivalue_line("markers", "taskiq(**options): keywords of taskiq_test() for the fixtures of the test")
    if config.pluginmanager.hasplugin("asyncio"):
        config.pluginmanager.register(_fixtures_of_pytest_asyncio())


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
def taskiq(request: pytest.FixtureRequest, taskiq_broker: "AsyncBroker", taskiq_test: Enter) -> "Generator[TaskiqTest]":
    """The tasks of `taskiq_broker`, on memory, in virtual time, with a real worker; in the event loop of the test."""
    # An async fixture would be run by a plugin that may not be the one which runs the test: then time has two loops.
    scope = _loop_of_pytest_asyncio(request)
    is_anyios = "anyio_backend" in request.fixturenames
    if scope is not None and is_anyios:
        pytest.fail(_CLAIMED_TWICE, pytrace=False)
    elif scope is not None:
        yield request.getfixturevalue(f"_taskiq_in_{scope}_loop")
    elif is_anyios:
        from anyio.pytest_plugin import extract_backend_and_options, get_runner

        name, options = extract_backend_and_options(request.getfixturevalue("anyio_backend"))
        with get_runner(name, options) as runner:
            yield from runner.run_asyncgen_fixture(
                _new_function(), {"taskiq_broker": taskiq_broker, "taskiq_test": taskiq_test}
            )
    else:
        pytest.fail(
            "The fixture `taskiq` is for async tests: mark the test with pytest.mark.anyio, or .asyncio.", pytrace=False
        )


def _new_function() -> "Callable[..., AsyncGenerator[TaskiqTest, None]]":
    async def enter(taskiq_broker: "AsyncBroker", taskiq_test: Enter) -> "AsyncGenerator[TaskiqTest, None]":
        async with taskiq_test(taskiq_broker) as kit:
            yield kit

    return enter


def _loop_of_pytest_asyncio(request: pytest.FixtureRequest) -> str | None:
    """The scope of the loop in which pytest-asyncio runs the test; None if it does not. In its auto mode it runs all."""
    if not request.config.pluginmanager.hasplugin("asyncio"):
        return None
    if not import_module("pytest_asyncio").is_async_test(request.node):
        return None
    marker = request.node.get_closest_marker("asyncio")
    chosen: dict[str, Any] = {} if marker is None else marker.kwargs
    default: Any = request.config.getini("asyncio_default_test_loop_scope")
    return str(chosen.get("loop_scope") or chosen.get("scope") or default or _SCOPES[0])


def _fixtures_of_pytest_asyncio() -> ModuleType:
    fixture = import_module("pytest_asyncio").fixture
    holder = ModuleType("taskiq_core.pytest_plugin.asyncio")
    for scope in _SCOPES:
        name = f"_taskiq_in_{scope}_loop"
        setattr(holder, name, fixture(_new_function(), loop_scope=scope, name=name))
    return holder
