"""streaq: coredis without its checks, uvloop, silent tasks, a pool that its result() does not exhaust.

Each wait for a result holds a connection and needs another one, so no more than 100 wait at a time.
"""

import asyncio
import logging

import coredis
import uvloop
from redis_harness import SERVER, SLOTS, TTL, Peer, run, tick
from streaq import Worker

logging.disable(logging.INFO)
coredis.Config.optimized = True
worker = Worker(
    redis_url=SERVER.url, redis_kwargs={"max_connections": 256}, concurrency=SLOTS, anyio_kwargs={"use_uvloop": True}
)


@worker.task(silent=True, ttl=TTL)
async def noop() -> None:
    tick()


class Streaq(Peer):
    results = "*:results:*"
    drains = 3_000
    trips = 30  # each of its waits takes 0.1 s

    def work(self) -> None:
        worker.run_sync()

    async def open(self) -> None:
        await worker.__aenter__()

    async def close(self) -> None:
        await worker.__aexit__(None, None, None)

    async def send(self):
        return await noop.enqueue()

    async def send_many(self, count: int):
        handles = [noop.enqueue() for _ in range(count)]
        for start in range(0, count, 1000):
            await worker.enqueue_many(handles[start : start + 1000])
        return handles

    async def value(self, handle) -> None:
        await handle.result(timeout=30)

    async def values(self, handles) -> None:
        waiters = asyncio.Semaphore(SLOTS)

        async def wait(handle) -> None:
            async with waiters:
                await self.value(handle)

        await asyncio.gather(*map(wait, handles))


run(Streaq(), uvloop.run)
