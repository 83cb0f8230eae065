"""celery: one process that runs its tasks itself (solo), no events, no gossip, messages and results in JSON."""

import logging
from typing import Any

from celery import Celery
from harness import TTL, tick
from redis_results import RedisResults

logging.disable(logging.INFO)


class CeleryPeer(RedisResults):
    """Its messages are at a URL; `settings` are celery's."""

    results = "celery-task-meta-*"
    drains = 2_000
    concurrent = False

    def __init__(self, url: str, **settings: Any) -> None:
        self.app = Celery("bench", broker=url, backend=self.keeper.url)
        self.app.conf.update(
            result_expires=TTL,
            worker_prefetch_multiplier=100,
            worker_send_task_events=False,
            worker_hijack_root_logger=False,
            broker_connection_retry_on_startup=True,
            **settings,
        )
        self.noop = self.app.task(tick, name="noop")

    def work(self) -> None:
        options = ["--without-gossip", "--without-mingle", "--without-heartbeat", "--loglevel=WARNING"]
        self.app.worker_main(["worker", "--pool=solo", "--concurrency=1", *options])

    async def send(self):
        return self.noop.delay()

    async def value(self, handle) -> None:
        handle.get(timeout=30)

    async def values(self, handles) -> None:
        for handle in handles:
            handle.get(timeout=30)
