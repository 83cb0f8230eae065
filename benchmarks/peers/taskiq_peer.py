"""taskiq: orjson, uvloop, arguments not parsed again, results asked for every millisecond."""

import asyncio
import logging
from typing import Any

import harness
import uvloop
from harness import SLOTS, tick
from taskiq.api import run_receiver_task
from taskiq.serializers import ORJSONSerializer

logging.disable(logging.INFO)


async def noop() -> None:
    tick()


class TaskiqPeer(harness.Peer):
    """With a broker, and its result backend."""

    def __init__(self, broker: Any) -> None:
        self.broker = broker.with_serializer(ORJSONSerializer())
        self.noop = broker.register_task(noop, task_name="noop")

    def work(self) -> None:
        self.broker.is_worker_process = True
        uvloop.run(
            run_receiver_task(self.broker, validate_params=False, max_async_tasks=SLOTS, max_prefetch=SLOTS, run_startup=True)
        )

    async def open(self) -> None:
        await self.broker.startup()

    async def close(self) -> None:
        await self.broker.shutdown()

    async def send(self):
        return await self.noop.kiq()

    async def value(self, handle) -> None:
        await handle.wait_result(check_interval=0.001, timeout=30)

    async def values(self, handles) -> None:
        await asyncio.gather(*(handle.wait_result(check_interval=0.05, timeout=30) for handle in handles))
