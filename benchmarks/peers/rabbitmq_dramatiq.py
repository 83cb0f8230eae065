"""dramatiq: threads, confirms, only the middleware that stores results."""

import logging
import signal

import dramatiq
from dramatiq.brokers.rabbitmq import RabbitmqBroker
from dramatiq.results import Results
from dramatiq.results.backends.redis import RedisBackend
from rabbitmq_harness import SERVER, TTL, Peer, run, tick

logging.disable(logging.INFO)
backend = RedisBackend(url=SERVER.redis.url)
results = Results(backend=backend, store_results=True, result_ttl=TTL * 1000)
broker = RabbitmqBroker(url=SERVER.url, confirm_delivery=True, middleware=[results])
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
