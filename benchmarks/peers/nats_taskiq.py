"""taskiq with taskiq-nats, see `taskiq_peer.py`: a pull consumer, results in its object store.

Without batches, in which its result backend lets the worker stop for good; `nats_taskiq_bare.py` has them.
"""

import uvloop
from nats_harness import SERVER, run
from taskiq.serializers import ORJSONSerializer
from taskiq_nats import NATSObjectStoreResultBackend, PullBasedJetStreamBroker
from taskiq_peer import TaskiqPeer

results = NATSObjectStoreResultBackend(SERVER.url, serializer=ORJSONSerializer())


class OnNats(TaskiqPeer):
    drains = 2_000
    trips = 50

    async def stored(self) -> int:
        return len(await results.object_store.list())

    async def values(self, handles) -> None:
        for handle in handles:  # a look at a result costs several requests, so many waiters would only be in each other's way
            await self.value(handle)


run(OnNats(PullBasedJetStreamBroker(SERVER.url).with_result_backend(results)), uvloop.run)
