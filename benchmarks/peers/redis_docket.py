"""docket: uvloop, looks for work every 5 ms when it is full, a pool that 100 tasks do not exhaust."""

import asyncio
import logging
from datetime import timedelta

import uvloop
from docket import Docket, Worker
from redis_harness import SERVER, SLOTS, TTL, Peer, run, tick

logging.disable(logging.ERROR)
CHECK = timedelta(milliseconds=5)


async def noop() -> int:
    tick()
    return 1  # it stores no None


def docket() -> Docket:
    made = Docket("bench", url=f"{SERVER.url}?max_connections=2000", execution_ttl=timedelta(seconds=TTL))
    made.register(noop)
    return made


class DocketPeer(Peer):
    results = "*bench*result*"
    drains = 3_000
    docket: Docket

    def work(self) -> None:
        async def main() -> None:
            async with docket() as here, Worker(here, concurrency=SLOTS, minimum_check_interval=CHECK) as worker:
                await worker.run_forever()

        uvloop.run(main())

    async def open(self) -> None:
        self.docket = await docket().__aenter__()

    async def close(self) -> None:
        await self.docket.__aexit__(None, None, None)

    async def send(self):
        return await self.docket.add(noop)()

    async def send_many(self, count: int):
        return await self.docket.add_many(self.docket.call(noop)() for _ in range(count))

    async def value(self, handle) -> None:
        await handle.get_result(timeout=timedelta(seconds=30))

    async def values(self, handles) -> None:
        await asyncio.gather(*map(self.value, handles))


run(DocketPeer(), uvloop.run)
