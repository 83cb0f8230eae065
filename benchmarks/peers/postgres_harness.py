"""What the scripts of peers on PostgreSQL share."""

import sys

from harness import SLOTS, Peer, run, tick

from benchmarks.postgres_server import PostgresServer

__all__ = ["SERVER", "SLOTS", "Peer", "run", "tick"]

SERVER = PostgresServer.named(sys.argv[1])
