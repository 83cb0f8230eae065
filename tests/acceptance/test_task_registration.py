"""Where tasks are defined, and which options are refused."""

import logging
import uuid
from typing import Any

import pytest

from taskiq_core import (
    AsyncBroker,
    AsyncSharedBroker,
    BrokerMessage,
    Capability,
    InMemoryBroker,
    TaskRouter,
)
from taskiq_core.exceptions import (
    ConfigurationError,
    ResultBackendNotConfiguredError,
    SharedBrokerListenError,
    SharedBrokerSendTaskError,
    TaskBrokerMismatchError,
    TaskNameConflictError,
    UnsupportedOptionError,
)

pytestmark = pytest.mark.anyio


@pytest.fixture
def broker() -> InMemoryBroker:
    return InMemoryBroker()


async def test_router_tasks_work_once_included(broker: InMemoryBroker) -> None:
    router, inner = TaskRouter(), TaskRouter()
    router.include_router(inner)

    @router.task("outer", priority=7)
    async def outer() -> int:
        return 1

    @inner.task
    async def deep() -> int:
        return 2

    with pytest.raises(RuntimeError, match="include_router"):
        await outer.kiq()
    broker.include_router(router)
    async with broker:
        assert await (await outer.kiq()) == 1
        assert await (await deep.kiq()) == 2
    with pytest.raises(TaskBrokerMismatchError):
        InMemoryBroker().include_router(router)


async def test_shared_tasks_run_on_the_default_broker(broker: InMemoryBroker) -> None:
    shared = AsyncSharedBroker()

    @shared.task(f"shared:{uuid.uuid4().hex}")
    async def triple(n: int) -> int:
        return 3 * n

    with pytest.raises(SharedBrokerSendTaskError):
        await triple.kiq(1)
    with pytest.raises(SharedBrokerListenError):
        shared.listen()
    async with broker:
        assert await (await triple.kicker().with_broker(broker).kiq(2)) == 6
        shared.default_broker(broker)
        assert await (await triple.kiq(3)) == 9
    assert triple.task_name in broker.get_all_tasks()


def test_names_conflicts_and_near_misses(broker: InMemoryBroker, caplog: pytest.LogCaptureFixture) -> None:
    @broker.task
    async def one() -> None: ...

    assert one.task_name == f"{__name__}:one"
    broker.register_task(one.original_func)
    with pytest.raises(TaskNameConflictError, match="explicit name"):

        @broker.task(one.task_name)
        async def two() -> None: ...

    with caplog.at_level(logging.WARNING):
        broker.register_task(lambda: None, "three", prioritty=3)
    assert "did you mean the option 'priority'" in caplog.text
    with pytest.raises(ConfigurationError, match="priority"):
        broker.register_task(lambda: None, "four", priority=11)
    with pytest.raises(ConfigurationError):
        broker.register_task(one)  # type: ignore[arg-type]


class Poor(AsyncBroker):
    """A broker that can do nothing."""

    async def kick(self, message: BrokerMessage) -> None: ...

    def listen(self) -> Any: ...


async def test_an_option_that_nothing_serves_is_refused_at_start_up_and_at_the_call() -> None:
    poor = Poor()
    fine = poor.register_task(lambda: None, "fine")
    for setting in ("with_delay", "with_priority", "with_queue"):
        with pytest.raises(UnsupportedOptionError, match="does not declare"):
            getattr(fine.kicker(), setting)(1)
    poor.register_task(lambda: None, "picky", priority=3)
    with pytest.raises(UnsupportedOptionError, match=r"Task 'picky' asks for priority=3, but Poor does not declare PRIORITY"):
        await poor.startup()
    poor.capabilities |= Capability.PRIORITY
    await poor.startup()
    with pytest.raises(ResultBackendNotConfiguredError):
        await (await fine.kiq()).wait_result()


def test_a_broker_that_overrides_neither_of_a_pair_is_refused() -> None:
    with pytest.raises(TypeError, match="must override kick"):
        type("Nothing", (AsyncBroker,), {})()
