"""A worker whose broker takes its time says so, once; one that starts at once does not."""

from collections.abc import AsyncGenerator

import anyio
import pytest

from taskiq_core import InMemoryBroker
from taskiq_core.exceptions import BrokerError, ConfigurationError
from taskiq_core.testing import virtual_time
from taskiq_core.worker import Worker

pytestmark = pytest.mark.anyio

WAITS = "The worker is not ready yet: it waits for its broker"


@pytest.fixture(autouse=True)
async def time() -> AsyncGenerator[None]:
    with virtual_time():
        yield


class Late(InMemoryBroker):
    """Starts after so many seconds, or then fails."""

    def __init__(self, seconds: float, error: Exception | None = None) -> None:
        super().__init__()
        self.seconds = seconds
        self.error = error

    async def startup(self) -> None:
        await anyio.sleep(self.seconds)
        if self.error is not None:
            raise self.error
        await super().startup()


@pytest.mark.parametrize(("seconds", "times"), [(0.0, 0), (0.5, 0), (1.5, 1), (30.0, 1)])
async def test_a_start_that_takes_long_is_told_once(seconds: float, times: int, caplog: pytest.LogCaptureFixture) -> None:
    await Worker(Late(seconds), burst=True).run()
    await anyio.sleep(5)
    assert caplog.text.count(WAITS) == times


async def test_nothing_is_told_after_the_end(caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(ConfigurationError):
        await Worker(Late(0.0, ConfigurationError(reason="never"))).run()
    worker = Worker(Late(0.5, BrokerError(reason="away")))
    async with anyio.create_task_group() as group:
        group.start_soon(worker.run)
        await anyio.sleep(0.1)
        worker.stop()
    await anyio.sleep(5)
    assert WAITS not in caplog.text
