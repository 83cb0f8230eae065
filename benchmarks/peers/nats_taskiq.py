"""taskiq with taskiq-nats: a pull consumer, orjson, uvloop, results in its object store, asked for every millisecond."""

import logging
import sys
from pathlib import Path
from typing import Any

import uvloop
from nats_harness import SERVER, SLOTS, Peer, run, tick
from taskiq.api import run_receiver_task
from taskiq.serializers import ORJSONSerializer
from taskiq_nats import NATSObjectStoreResultBackend, PullBasedJetStreamBroker

logging.disable(logging.INFO)
# In batches its result backend lets the worker stop for good, so only `nats_taskiq_bare.py` has them. A batch that is not
# full is waited for, and without a time limit for ever.
BATCHES: dict[str, Any] = {"pull_consume_batch": SLOTS, "pull_consume_timeout": 0.1}
bare = Path(sys.argv[0]).stem.endswith("_bare")
broker: Any = PullBasedJetStreamBroker(SERVER.url, **(BATCHES if bare else {}))
broker = broker.with_serializer(ORJSONSerializer())
results = NATSObjectStoreResultBackend(SERVER.url, serializer=ORJSONSerializer())


@broker.task(task_name="noop")
async def noop() -> None:
    tick()


class Taskiq(Peer):
    drains = 2_000
    trips = 50
    backend: Any = results

    async def stored(self) -> int:
        return len(await results.object_store.list())

    def work(self) -> None:
        self.prepare()
        broker.is_worker_process = True
        uvloop.run(
            run_receiver_task(broker, validate_params=False, max_async_tasks=SLOTS, max_prefetch=SLOTS, run_startup=True)
        )

    async def open(self) -> None:
        self.prepare()
        await broker.startup()

    async def close(self) -> None:
        await broker.shutdown()

    def prepare(self) -> None:
        if self.backend is not None:
            broker.with_result_backend(self.backend)

    async def send(self):
        return await noop.kiq()

    async def value(self, handle) -> None:
        await handle.wait_result(check_interval=0.001, timeout=30)

    async def values(self, handles) -> None:
        for handle in handles:  # a look at a result costs several requests, so many waiters would only be in each other's way
            await self.value(handle)


if __name__ == "__main__":
    run(Taskiq(), uvloop.run)
