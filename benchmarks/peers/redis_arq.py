"""arq: uvloop, no log of results, asks for jobs every 10 ms and for results every millisecond."""

import asyncio
import logging

import uvloop
from arq.connections import ArqRedis, RedisSettings, create_pool
from arq.worker import Worker
from redis_harness import SERVER, SLOTS, TTL, Peer, run, tick

logging.disable(logging.INFO)
SETTINGS = RedisSettings.from_dsn(SERVER.url)


async def noop(_) -> None:
    tick()


class Arq(Peer):
    results = "arq:result:*"
    redis: ArqRedis

    def work(self) -> None:
        async def main() -> None:
            worker = Worker(
                [noop],
                redis_settings=SETTINGS,
                max_jobs=SLOTS,
                poll_delay=0.01,
                keep_result=TTL,
                log_results=False,
                max_tries=1,
            )
            await worker.async_run()

        uvloop.run(main())

    async def open(self) -> None:
        self.redis = await create_pool(SETTINGS)

    async def close(self) -> None:
        await self.redis.aclose()

    async def send(self):
        return await self.redis.enqueue_job("noop")

    async def value(self, handle) -> None:
        await handle.result(timeout=30, poll_delay=0.001)

    async def values(self, handles) -> None:
        await asyncio.gather(*(handle.result(timeout=30, poll_delay=0.05) for handle in handles))


run(Arq(), uvloop.run)
