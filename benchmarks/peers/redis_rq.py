"""rq: its worker that does not fork."""

import logging

from redis import Redis
from redis_harness import SERVER, TTL, Peer, run, tick
from rq import Queue, SimpleWorker

logging.disable(logging.INFO)
redis = Redis.from_url(SERVER.url)
queue = Queue(connection=redis)


def noop() -> int:
    tick()
    return 1


class Rq(Peer):
    results = "rq:results:*"
    drains = 800
    concurrent = False

    def work(self) -> None:
        SimpleWorker([queue], connection=redis, log_job_description=False).work(logging_level="ERROR")

    async def send(self):
        return queue.enqueue("redis_rq.noop", result_ttl=TTL)

    async def send_many(self, count: int):
        return queue.enqueue_many([Queue.prepare_data("redis_rq.noop", result_ttl=TTL) for _ in range(count)])

    async def value(self, handle) -> None:
        handle.latest_result(timeout=30)

    async def values(self, handles) -> None:
        for handle in handles:
            await self.value(handle)


if __name__ == "__main__":
    run(Rq())
