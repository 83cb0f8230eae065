"""saq: orjson, uvloop, no limit of its own on operations under way, results asked for every millisecond."""

import asyncio
import logging

import orjson
import uvloop
from redis.asyncio import Redis
from redis_harness import SERVER, SLOTS, TTL, Peer, run, tick
from saq.queue.redis import RedisQueue
from saq.worker import Worker

logging.disable(logging.INFO)


async def noop(_) -> None:
    tick()


def queue() -> RedisQueue:
    return RedisQueue(Redis.from_url(SERVER.url), dump=orjson.dumps, load=orjson.loads, max_concurrent_ops=SLOTS)


class Saq(Peer):
    results = "saq:job:*"
    queue: RedisQueue

    def work(self) -> None:
        async def main() -> None:
            await Worker(queue(), [noop], concurrency=SLOTS).start()

        uvloop.run(main())

    async def open(self) -> None:
        self.queue = queue()
        await self.queue.connect()

    async def close(self) -> None:
        await self.queue.disconnect()

    async def send(self):
        return await self.queue.enqueue("noop", ttl=TTL)

    async def value(self, handle) -> None:
        while not handle.completed:
            await handle.refresh()
            if not handle.completed:
                await asyncio.sleep(0.001)

    async def values(self, handles) -> None:
        keys = {handle.key for handle in handles}
        while keys:
            jobs = await self.queue.jobs(keys)
            keys -= {job.key for job in jobs if job is not None and job.completed}
            await asyncio.sleep(0.005)


run(Saq(), uvloop.run)
