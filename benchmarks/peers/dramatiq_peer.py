"""dramatiq: threads, only the middleware that stores results."""

import logging
import signal
from collections.abc import Callable

import dramatiq
from dramatiq.results import Results
from dramatiq.results.backends.redis import RedisBackend
from harness import TTL, tick
from redis_results import RedisResults

logging.disable(logging.INFO)


def noop() -> int:
    tick()
    return 1  # it stores no None


class DramatiqPeer(RedisResults):
    """`make` makes its broker, given the middleware."""

    results = "*"
    concurrent = False

    def __init__(self, make: Callable[..., dramatiq.Broker]) -> None:
        backend = RedisBackend(url=self.keeper.url)
        self.broker = make(middleware=[Results(backend=backend, store_results=True, result_ttl=TTL * 1000)])
        dramatiq.set_broker(self.broker)
        self.noop = dramatiq.actor(noop, store_results=True)

    def work(self) -> None:
        worker = dramatiq.Worker(self.broker, worker_threads=16, worker_timeout=100)
        worker.start()
        signal.sigwait([signal.SIGTERM])
        worker.stop()

    async def send(self):
        return self.noop.send()

    async def value(self, handle) -> None:
        handle.get_result(block=True, timeout=30_000)

    async def values(self, handles) -> None:
        for handle in handles:
            await self.value(handle)
