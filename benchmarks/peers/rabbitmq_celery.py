"""celery: one process that runs its tasks itself (solo), confirms, no events, no gossip, messages and results in JSON."""

import logging

from celery import Celery
from rabbitmq_harness import SERVER, TTL, Peer, run, tick

logging.disable(logging.INFO)
app = Celery("bench", broker=SERVER.url, backend=SERVER.redis.url)
app.conf.update(
    result_expires=TTL,
    worker_prefetch_multiplier=100,
    worker_send_task_events=False,
    worker_hijack_root_logger=False,
    broker_connection_retry_on_startup=True,
    broker_transport_options={"confirm_publish": True},
)


@app.task(name="noop")
def noop() -> None:
    tick()


class CeleryPeer(Peer):
    results = "celery-task-meta-*"
    drains = 2_000
    concurrent = False

    def work(self) -> None:
        options = ["--without-gossip", "--without-mingle", "--without-heartbeat", "--loglevel=WARNING"]
        app.worker_main(["worker", "--pool=solo", "--concurrency=1", *options])

    async def send(self):
        return noop.delay()

    async def value(self, handle) -> None:
        handle.get(timeout=30)

    async def values(self, handles) -> None:
        for handle in handles:
            handle.get(timeout=30)


run(CeleryPeer())
