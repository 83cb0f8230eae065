"""What one would write by hand over aio-pika: a quorum queue, confirms, batches of 100, results in Redis."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aio_pika as _untyped_aio_pika
import redis.asyncio as _untyped_redis

from benchmarks.clock import Time, now, since
from benchmarks.rabbitmq_server import RabbitServer, rabbitmq_server
from benchmarks.raw_loops import bodies, call, singly, trips
from benchmarks.stores import Store

aio_pika: Any = _untyped_aio_pika  # its annotations are not strict
redis: Any = _untyped_redis  # its annotations are not strict

_BATCH = 100
_TTL = 86400
_TASKS, _ANSWER = "raw.tasks", "raw.answer"


@dataclass(frozen=True)
class Client:
    """Connected to both."""

    channel: Any
    queue: Any
    redis: Any

    async def publish(self, body: bytes) -> None:
        """Return when it is confirmed."""
        message = aio_pika.Message(body, delivery_mode=aio_pika.DeliveryMode.PERSISTENT)
        await self.channel.default_exchange.publish(message, _TASKS)


@asynccontextmanager
async def client(server: RabbitServer) -> AsyncGenerator[Client]:
    """With the queue declared."""
    async with await aio_pika.connect(server.url) as connection, redis.Redis(port=server.redis.port) as results:
        channel = await connection.channel()
        await channel.set_qos(2 * _BATCH)
        yield Client(channel, await channel.declare_queue(_TASKS, durable=True, arguments={"x-queue-type": "quorum"}), results)


async def add_singly(place: Client, count: int) -> Time:
    """Each waits until the one before is confirmed."""
    return await singly(place.publish, count)


async def add_in_batches(place: Client, count: int) -> Time:
    """A hundred under way."""
    begin = now()
    pending: list[Any] = []
    for body in bodies(count):
        pending.append(place.publish(body))
        if len(pending) == _BATCH:
            await asyncio.gather(*pending)
            pending.clear()
    await asyncio.gather(*pending)
    return since(begin)


async def drain(place: Client, count: int) -> Time:
    """Take up to 100 of what has come, call each inline; acknowledge them at once when their results are stored."""
    await add_in_batches(place, count)
    inbox: asyncio.Queue[Any] = asyncio.Queue()
    begin, left = now(), count
    await place.queue.consume(inbox.put)
    while left:
        messages = [await inbox.get()]
        while len(messages) < _BATCH and not inbox.empty():
            messages.append(inbox.get_nowait())
        pipe = place.redis.pipeline(transaction=False)
        for message in messages:
            task_id, result = await call(message.body)
            pipe.setex(f"raw:result:{task_id}", _TTL, result)
        await pipe.execute()
        await messages[-1].ack(multiple=True)
        left -= len(messages)
    return since(begin)


async def round_trips(place: Client, count: int) -> list[float]:
    """Milliseconds from the publish to the answer, for which the client waits with BLPOP; the worker is in the same process."""

    async def answer(message: Any) -> None:
        await place.redis.lpush(_ANSWER, b"1")
        await message.ack()

    await place.queue.consume(answer)
    return await trips(place.publish, lambda: place.redis.blpop(_ANSWER, 10), count)


RABBITMQ = Store(
    "rabbitmq",
    "aio-pika",
    rabbitmq_server,
    lambda server: f"{server.url}?prefix=bench {server.redis.url}?prefix=bench",
    client,
    add_singly,
    add_in_batches,
    drain,
    round_trips,
)
