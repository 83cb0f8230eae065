"""procrastinate: psycopg, 100 tasks at a time, finished jobs kept as it does unless it is told otherwise; no return values."""

import asyncio
import logging

from postgres_harness import SERVER, SLOTS, Peer, run, tick
from procrastinate import App, PsycopgConnector

logging.disable(logging.WARNING)
app = App(connector=PsycopgConnector(conninfo=SERVER.url, min_size=4, max_size=20))


@app.task(name="noop")
async def noop() -> None:
    tick()


class Procrastinate(Peer):
    drains = 3_000
    answers = False

    def work(self) -> None:
        async def main() -> None:
            async with app.open_async():
                await app.run_worker_async(concurrency=SLOTS)

        asyncio.run(main())

    async def open(self) -> None:
        await app.open_async()
        if not (await app.connector.execute_query_one_async("SELECT to_regclass('procrastinate_jobs') AS found"))["found"]:
            await app.schema_manager.apply_schema_async()

    async def close(self) -> None:
        await app.close_async()

    async def send(self):
        return await noop.defer_async()

    async def send_many(self, count: int):
        for start in range(0, count, 1000):
            await noop.batch_defer_async(*({} for _ in range(min(1000, count - start))))
        return []

    async def stored(self) -> int:
        row = await app.connector.execute_query_one_async(
            "SELECT count(*) AS finished FROM procrastinate_jobs WHERE status = 'succeeded'"
        )
        return row["finished"]


run(Procrastinate())
