"""What one would write by hand over aio-pika: a quorum queue, confirms, batches of 100, results in Redis."""

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aio_pika as _untyped_aio_pika
import msgpack as _untyped_msgpack
import redis.asyncio as _untyped_redis

from benchmarks.clock import Time, now, since
from benchmarks.rabbitmq_server import RabbitServer, rabbitmq_server
from benchmarks.redis_raw import bodies
from benchmarks.stores import Store

aio_pika: Any = _untyped_aio_pika  # its annotations are not strict
msgpack: Any = _untyped_msgpack  # the package ships no types
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
    begin = now()
    for body in bodies(count):
        await place.publish(body)
    return since(begin)


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

    async def noop() -> None:
        return None

    await add_in_batches(place, count)
    tasks = {"noop": noop}
    inbox: asyncio.Queue[Any] = asyncio.Queue()
    begin, left = now(), count
    await place.queue.consume(inbox.put)
    while left:
        messages = [await inbox.get()]
        while len(messages) < _BATCH and not inbox.empty():
            messages.append(inbox.get_nowait())
        pipe = place.redis.pipeline(transaction=False)
        for message in messages:
            _, task_id, name, labels, args, kwargs = msgpack.unpackb(message.body)
            value = await tasks[name](*args, **kwargs)
            pipe.setex(f"raw:result:{task_id}", _TTL, msgpack.packb([1, False, value, 0.0, labels, None, None]))
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
    times: list[float] = []
    for body in bodies(count):
        begin = time.perf_counter()
        await place.publish(body)
        await place.redis.blpop(_ANSWER, 10)
        times.append((time.perf_counter() - begin) * 1e3)
    return times


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
