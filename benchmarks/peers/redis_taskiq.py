"""taskiq with taskiq-redis: a stream, orjson, uvloop, arguments not parsed again, results asked for every millisecond."""

import asyncio
import logging

import uvloop
from redis_harness import SERVER, SLOTS, TTL, Peer, run, tick
from taskiq.api import run_receiver_task
from taskiq.serializers import ORJSONSerializer
from taskiq_redis import RedisAsyncResultBackend, RedisStreamBroker

logging.disable(logging.INFO)
broker = RedisStreamBroker(SERVER.url)
broker = broker.with_result_backend(RedisAsyncResultBackend(SERVER.url, result_ex_time=TTL)).with_serializer(ORJSONSerializer())


@broker.task(task_name="noop")
async def noop() -> None:
    tick()


class Taskiq(Peer):
    results = "[0-9a-f]*"

    def work(self) -> None:
        broker.is_worker_process = True
        uvloop.run(
            run_receiver_task(broker, validate_params=False, max_async_tasks=SLOTS, max_prefetch=SLOTS, run_startup=True)
        )

    async def open(self) -> None:
        await broker.startup()

    async def send(self):
        return await noop.kiq()

    async def value(self, handle) -> None:
        await handle.wait_result(check_interval=0.001, timeout=30)

    async def values(self, handles) -> None:
        await asyncio.gather(*(handle.wait_result(check_interval=0.05, timeout=30) for handle in handles))


run(Taskiq(), uvloop.run)
