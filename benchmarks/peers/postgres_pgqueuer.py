"""pgqueuer: asyncpg, uvloop, batches of 100. It stores no return values, and its watcher of completions never woke here."""

import logging

import asyncpg
import uvloop
from pgqueuer import AsyncpgPoolDriver, Queries, QueueManager
from postgres_harness import SERVER, SLOTS, Peer, run, tick

logging.disable(logging.INFO)


class PgQueuer(Peer):
    drains = 10_000
    answers = False
    queries: Queries
    pool: asyncpg.Pool

    def work(self) -> None:
        async def main() -> None:
            async with asyncpg.create_pool(SERVER.url, min_size=4, max_size=10) as pool:
                manager = QueueManager(Queries(AsyncpgPoolDriver(pool)))

                @manager.entrypoint("noop")
                async def noop(_) -> None:
                    tick()

                await manager.run(batch_size=SLOTS)

        uvloop.run(main())

    async def open(self) -> None:
        self.pool = await asyncpg.create_pool(SERVER.url, min_size=2, max_size=20)
        self.queries = Queries(AsyncpgPoolDriver(self.pool))
        if not await self.pool.fetchval("SELECT to_regclass('pgqueuer')"):
            await self.queries.install()

    async def close(self) -> None:
        await self.pool.close()

    async def send(self):
        return await self.queries.enqueue("noop", None)

    async def send_many(self, count: int):
        for start in range(0, count, 1000):
            some = min(1000, count - start)
            await self.queries.enqueue(["noop"] * some, [None] * some, [0] * some)
        return []

    async def stored(self) -> int:
        return await self.pool.fetchval("SELECT count(*) FROM pgqueuer_log WHERE status = 'successful'")


run(PgQueuer(), uvloop.run)
