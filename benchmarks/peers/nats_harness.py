"""What the scripts of peers on NATS share."""

import sys

from harness import SLOTS, run

from benchmarks.nats_server import NatsServer

__all__ = ["SERVER", "SLOTS", "run"]

SERVER = NatsServer.named(sys.argv[1])
