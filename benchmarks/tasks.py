"""The tasks that workers run and clients send."""

from typing import Any, NamedTuple

import anyio

from taskiq_core import AsyncBroker, AsyncTaskiqDecoratedTask

NAP = 0.005
"""Seconds that `nap` takes."""


class Tasks(NamedTuple):
    """All of them, on one broker."""

    noop: AsyncTaskiqDecoratedTask[[], None]
    nap: AsyncTaskiqDecoratedTask[[], None]
    take: AsyncTaskiqDecoratedTask[[Any], None]


def add_tasks(broker: AsyncBroker) -> Tasks:
    """Register them."""

    @broker.task("noop")
    async def noop() -> None:
        """The cheapest task."""

    @broker.task("nap")
    async def nap() -> None:
        """Waits, as for an answer from elsewhere."""
        await anyio.sleep(NAP)

    @broker.task("take")
    async def take(payload: Any) -> None:
        """Has something to carry."""

    return Tasks(noop, nap, take)
