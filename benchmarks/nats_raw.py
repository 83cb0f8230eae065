"""What one would write by hand over nats-py: a work-queue stream, a pull consumer, batches of 100, results in a bucket."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import nats as _untyped_nats
from nats.errors import TimeoutError as NothingCame

from benchmarks.clock import Time, now, since
from benchmarks.nats_server import NatsServer, nats_server
from benchmarks.raw_loops import bodies, call, singly, trips
from benchmarks.stores import Store

nats: Any = _untyped_nats  # its annotations are not strict

_BATCH = 100
_TTL = 86400
_TASKS = "raw.tasks"


@asynccontextmanager
async def client(server: NatsServer) -> AsyncGenerator[Any]:
    """Connected, with the stream and the bucket."""
    connection = await nats.connect(server.url)
    jetstream = connection.jetstream()
    await jetstream.add_stream(name="raw", subjects=[_TASKS], retention="workqueue")
    await jetstream.create_key_value(bucket="raw", ttl=_TTL)
    try:
        yield jetstream
    finally:
        await connection.close()


async def add_singly(jetstream: Any, count: int) -> Time:
    """Each waits until the one before is stored."""
    return await singly(lambda body: jetstream.publish(_TASKS, body), count)


async def add_in_batches(jetstream: Any, count: int) -> Time:
    """A hundred under way."""
    begin = now()
    pending: list[Any] = []
    for body in bodies(count):
        pending.append(await jetstream.publish_async(_TASKS, body))
        if len(pending) == _BATCH:
            await asyncio.gather(*pending)
            pending.clear()
    await asyncio.gather(*pending)
    return since(begin)


async def drain(jetstream: Any, count: int) -> Time:
    """Fetch 100, call each inline; acknowledge them when all their results are stored."""
    await add_in_batches(jetstream, count)
    subscription = await jetstream.pull_subscribe(_TASKS, "workers")
    begin, left = now(), count
    while left:
        messages = await subscription.fetch(min(_BATCH, left))
        stored: list[Any] = []
        for message in messages:
            task_id, result = await call(message.data)
            stored.append(await jetstream.publish_async(f"$KV.raw.{task_id}", result))
        await asyncio.gather(*stored)
        for message in messages:
            await message.ack()
        left -= len(messages)
    return since(begin)


async def round_trips(jetstream: Any, count: int) -> list[float]:
    """Milliseconds from the publish to the answer, which comes on a subject; the worker is in the same process."""
    connection = jetstream._nc
    answers = await connection.subscribe("raw.answer")
    subscription = await jetstream.pull_subscribe(_TASKS, "workers")
    worker = asyncio.create_task(_answer(connection, subscription, count))
    times = await trips(lambda body: jetstream.publish(_TASKS, body), lambda: answers.next_msg(10), count)
    await worker
    return times


async def _answer(connection: Any, subscription: Any, count: int) -> None:
    left = count
    while left:
        try:
            messages = await subscription.fetch(1, 1)
        except NothingCame:
            continue
        for message in messages:
            await connection.publish("raw.answer", b"1")
            await message.ack()
        left -= len(messages)


NATS = Store(
    "nats",
    "nats-py",
    nats_server,
    lambda server: f"{server.url}?prefix=bench",
    client,
    add_singly,
    add_in_batches,
    drain,
    round_trips,
)
