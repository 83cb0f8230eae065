"""Calling and waiting: the API of tasks as users meet it, on the in-memory broker."""

import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from enum import Enum
from typing import Any

import anyio
import anyio.to_thread
import pytest
from pydantic import BaseModel

from taskiq_core import (
    InMemoryBroker,
    TaskiqResultTimeoutError,
    gather,
)

pytestmark = pytest.mark.anyio


@pytest.fixture
def broker() -> InMemoryBroker:
    return InMemoryBroker()


async def test_a_task_is_sent_and_awaited_or_called_here(broker: InMemoryBroker) -> None:
    @broker.task
    async def add(a: int, b: int = 1) -> int:
        return a + b

    async with broker:
        handle = await add.kiq(1, b=2)
        assert handle.outcome == "queued"
        assert await handle == 3
        assert await handle.is_ready()
        result = await handle.wait_result(timeout=5)
        assert (result.is_err, result.return_value, result.error) == (False, 3, None)
        assert result.raise_for_error() is result
        assert result.execution_time < 5
        assert (await handle.get_result()).return_value == 3
        assert await broker.handle(handle.task_id) == 3
        assert await add(5) == 6
        assert await (await broker.kicker(add.task_name).kiq(2)) == 3
        assert await (await broker.kicker(add.original_func).kiq(2)) == 3


async def test_the_tasks_own_exception_comes_back_with_its_traceback(broker: InMemoryBroker) -> None:
    @broker.task
    async def divide(a: int) -> float:
        return a / 0

    async with broker:
        handle = await divide.kiq(1)
        with pytest.raises(ZeroDivisionError) as caught:
            await handle
        assert "return a / 0" in "".join(caught.value.__notes__)
        with pytest.raises(ZeroDivisionError):
            (await handle.wait_result()).raise_for_error()


class Colour(Enum):
    RED = "red"


class Order(BaseModel):
    id: uuid.UUID
    total: Decimal


@dataclass
class Point:
    x: int
    y: int


async def test_arguments_and_results_keep_their_types(broker: InMemoryBroker) -> None:
    values: dict[str, Any] = {
        "order": Order(id=uuid.uuid4(), total=Decimal("1.10")),
        "point": Point(1, 2),
        "colour": Colour.RED,
        "moment": datetime.now(UTC),
        "blob": b"\x00\xff",
        "names": {"a", "b"},
        "pair": (1, "x"),
    }

    @broker.task
    async def echo(
        order: Order, point: Point, colour: Colour, moment: datetime, blob: bytes, names: set[str], pair: tuple[int, str]
    ) -> tuple[Order, Point, Colour, datetime, bytes, set[str], tuple[int, str]]:
        assert isinstance(order, Order)
        assert isinstance(point, Point)
        return order, point, colour, moment, blob, names, pair

    async with broker:
        assert await (await echo.kiq(**values)) == tuple(values.values())


@pytest.mark.parametrize(
    ("args", "reason"),
    [(("secret-text",), "'number'"), ((), "missing argument 'number'"), ((1, 2), "takes 1 positional")],
)
async def test_wrong_arguments_are_an_error_result_and_the_function_is_not_called(
    broker: InMemoryBroker, args: tuple[Any, ...], reason: str
) -> None:
    ran: list[int] = []

    @broker.task
    async def work(number: int) -> None:
        ran.append(number)

    async with broker:
        result = await (await work.kicker().kiq(*args)).wait_result(timeout=5)
        assert type(result.error).__name__ == "ArgumentError"
        assert reason in str(result.error)
        assert "secret-text" not in str(result.error)
    assert not ran


async def test_gather_takes_handles_and_sends_not_yet_awaited_and_keeps_the_order(broker: InMemoryBroker) -> None:
    @broker.task
    async def wait(seconds: float) -> float:
        await anyio.sleep(seconds)
        return seconds

    async with broker:
        first = await wait.kiq(0.05)
        results = await gather(first, wait.kiq(0.0), wait.kiq(0.02), first, timeout=5)
        assert [result.return_value for result in results] == [0.05, 0.0, 0.02, 0.05]
        assert await gather() == ()
        with pytest.raises(TaskiqResultTimeoutError):
            await gather(wait.kiq(10), timeout=0.05)
        with pytest.raises(TaskiqResultTimeoutError):
            await (await wait.kiq(10)).wait_result(timeout=0.05)
        broker._worker.stop(now=True)  # type: ignore[union-attr]
