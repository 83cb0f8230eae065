"""dramatiq: threads, only the middleware that stores results."""

import logging
import signal

import dramatiq
from dramatiq.brokers.redis import RedisBroker
from dramatiq.results import Results
from dramatiq.results.backends.redis import RedisBackend
from redis_harness import SERVER, TTL, Peer, run, tick

logging.disable(logging.INFO)
backend = RedisBackend(url=SERVER.url)
broker = RedisBroker(url=SERVER.url, middleware=[Results(backend=backend, store_results=True, result_ttl=TTL * 1000)])
dramatiq.set_broker(broker)


@dramatiq.actor(store_results=True)
def noop() -> int:
    tick()
    return 1  # it stores no None


class Dramatiq(Peer):
    results = "*"
    concurrent = False

    def work(self) -> None:
        worker = dramatiq.Worker(broker, worker_threads=16, worker_timeout=100)
        worker.start()
        signal.sigwait([signal.SIGTERM])
        worker.stop()

    async def send(self):
        return noop.send()

    async def value(self, handle) -> None:
        handle.get_result(block=True, timeout=30_000)

    async def values(self, handles) -> None:
        for handle in handles:
            await self.value(handle)


run(Dramatiq())
