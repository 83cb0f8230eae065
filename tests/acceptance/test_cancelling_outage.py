"""A coordinator that does not answer: what tasks feel of it that ask for nothing, and that cancelling works again after it."""

from collections.abc import Sequence
from typing import Any

import anyio
import pytest

from taskiq_core import InMemoryBroker, InMemoryResultBackend, TaskCancelledError
from taskiq_core.testing import virtual_time

pytestmark = pytest.mark.anyio


class Hanging(InMemoryResultBackend[Any]):
    """Answers nothing while `gate` is closed."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = anyio.Event()

    async def get(self, keys: Sequence[str]) -> dict[str, bytes]:
        await self.gate.wait()
        return await super().get(keys)


@pytest.mark.parametrize("marked", [False, True])
async def test_one_question_without_an_answer_holds_up_tasks_once(marked: bool) -> None:
    waited, store = list[float](), Hanging()
    with virtual_time():
        broker = InMemoryBroker(store)

        @broker.task
        async def work() -> float:
            return anyio.current_time()

        @broker.task
        async def long() -> None:
            await anyio.sleep_forever()

        async with broker:
            if marked:  # then each message is asked about
                store.gate.set()
                await broker.handle("nobody").cancel()
                await (await work.kiq())
                await anyio.sleep(1)
                store.gate = anyio.Event()
            for _ in range(20):
                sent = anyio.current_time()
                waited.append(await (await work.kiq()) - sent)
                await anyio.sleep(1)
            running = await long.kiq()
            store.gate.set()
            await anyio.sleep(2)
            await running.cancel("user")
            assert isinstance((await running.wait_result(timeout=10)).error, TaskCancelledError)
    assert waited[0] == pytest.approx(1)
    assert waited[1:] == [0.0] * 19
