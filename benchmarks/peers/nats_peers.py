"""Peers on NATS."""

from benchmarks.nats_raw import NATS
from benchmarks.peers.table import Peers

_TASKIQ = ("taskiq-nats==0.7.0", "taskiq==0.13.0", "orjson==3.13.0", "uvloop==0.23.0")

NATS_PEERS = Peers(NATS, {"taskiq": _TASKIQ, "taskiq_bare": _TASKIQ})
