"""What the scripts of peers on NATS share."""

import sys

from harness import SLOTS, TTL, Peer, run, tick

from benchmarks.nats_server import NatsServer

__all__ = ["SERVER", "SLOTS", "TTL", "Peer", "run", "tick"]

SERVER = NatsServer.named(sys.argv[1])
