"""What one would write by hand over redis-py: a stream, a consumer group, batches of 100, results that expire."""

import asyncio
from typing import Any

import redis.asyncio as _untyped_redis

from benchmarks.clock import Time, now, since
from benchmarks.raw_loops import bodies, call, singly, trips
from benchmarks.redis_server import redis_server
from benchmarks.stores import Store

redis: Any = _untyped_redis  # its annotations are not strict

_BATCH = 100
_TTL = 86400
_STREAM, _GROUP = "raw", "workers"


async def add_singly(client: Any, count: int) -> Time:
    """Each XADD waits for the one before."""
    return await singly(lambda body: client.xadd(_STREAM, {"b": body}), count)


async def add_in_batches(client: Any, count: int) -> Time:
    """A hundred XADD in each pipeline."""
    begin = now()
    pipe = client.pipeline(transaction=False)
    for body in bodies(count):
        pipe.xadd(_STREAM, {"b": body})
        if len(pipe) == _BATCH:
            await pipe.execute()
    await pipe.execute()
    return since(begin)


async def drain(client: Any, count: int) -> Time:
    """Read 100, call each inline; their results, acks and deletes leave in one pipeline."""
    await client.xgroup_create(_STREAM, _GROUP, "0", mkstream=True)
    await add_in_batches(client, count)
    begin = now()
    while found := await client.xreadgroup(_GROUP, "me", {_STREAM: ">"}, count=_BATCH):
        pipe = client.pipeline(transaction=False)
        for entry, fields in _entries(found):
            task_id, result = await call(fields[b"b"])
            pipe.setex(f"raw:result:{task_id}", _TTL, result)
            pipe.xack(_STREAM, _GROUP, entry)
            pipe.xdel(_STREAM, entry)
        await pipe.execute()
    return since(begin)


def _entries(found: Any) -> Any:
    """The entries of the one stream, which comes as a list or a mapping by the protocol's version."""
    if isinstance(found, dict):
        return found[_STREAM.encode()][0]
    return found[0][1]


async def round_trips(client: Any, count: int) -> list[float]:
    """Milliseconds from XADD to the answer, for which the client waits with BLPOP; the worker is in the same process."""
    await client.xgroup_create(_STREAM, _GROUP, "0", mkstream=True)
    worker = asyncio.create_task(_answer(client, count))
    times = await trips(lambda body: client.xadd(_STREAM, {"b": body}), lambda: client.blpop("raw:answer", 10), count)
    await worker
    return times


async def _answer(client: Any, count: int) -> None:
    for _ in range(count):
        found = await client.xreadgroup(_GROUP, "me", {_STREAM: ">"}, count=_BATCH, block=1000)
        for entry, _fields in _entries(found):
            pipe = client.pipeline(transaction=False)
            pipe.lpush("raw:answer", b"1")
            pipe.xack(_STREAM, _GROUP, entry)
            pipe.xdel(_STREAM, entry)
            await pipe.execute()


REDIS = Store(
    "redis",
    "redis-py",
    redis_server,
    lambda server: f"{server.url}?prefix=bench",
    lambda server: redis.Redis(port=server.port),
    add_singly,
    add_in_batches,
    drain,
    round_trips,
)
