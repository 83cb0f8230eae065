"""taskiq with taskiq-nats, see `taskiq_peer.py`: a pull consumer in batches of 100, and results are stored nowhere."""

import uvloop
from nats_harness import SERVER, SLOTS, run
from taskiq_nats import PullBasedJetStreamBroker
from taskiq_peer import TaskiqPeer


class Bare(TaskiqPeer):
    answers = False

    async def stored(self) -> int:
        return 0


# A batch that is not full is waited for, and without a time limit for ever.
run(Bare(PullBasedJetStreamBroker(SERVER.url, pull_consume_batch=SLOTS, pull_consume_timeout=0.1)), uvloop.run)
