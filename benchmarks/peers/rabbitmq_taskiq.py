"""taskiq with taskiq-aio-pika and taskiq-redis: orjson, uvloop, results asked for every millisecond."""

import asyncio
import logging

import uvloop
from rabbitmq_harness import SERVER, SLOTS, TTL, Peer, run, tick
from taskiq.api import run_receiver_task
from taskiq.serializers import ORJSONSerializer
from taskiq_aio_pika import AioPikaBroker
from taskiq_redis import RedisAsyncResultBackend

logging.disable(logging.INFO)
results = RedisAsyncResultBackend(SERVER.redis.url, result_ex_time=TTL)
broker = AioPikaBroker(SERVER.url, qos=SLOTS).with_result_backend(results).with_serializer(ORJSONSerializer())


@broker.task(task_name="noop")
async def noop() -> None:
    tick()


class Taskiq(Peer):
    results = "[0-9a-f]*"
    drains = 2_000

    def work(self) -> None:
        broker.is_worker_process = True
        uvloop.run(
            run_receiver_task(broker, validate_params=False, max_async_tasks=SLOTS, max_prefetch=SLOTS, run_startup=True)
        )

    async def open(self) -> None:
        await broker.startup()

    async def close(self) -> None:
        await broker.shutdown()

    async def send(self):
        return await noop.kiq()

    async def value(self, handle) -> None:
        await handle.wait_result(check_interval=0.001, timeout=30)

    async def values(self, handles) -> None:
        await asyncio.gather(*(handle.wait_result(check_interval=0.05, timeout=30) for handle in handles))


run(Taskiq(), uvloop.run)
