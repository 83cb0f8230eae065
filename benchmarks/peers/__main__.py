"""`python -m benchmarks.peers`: install the peers, measure each beside us, print what came out. Enforces nothing."""

import argparse
import sys

from benchmarks.peers import rates
from benchmarks.peers.nats_peers import NATS_PEERS
from benchmarks.peers.postgres_peers import POSTGRES_PEERS
from benchmarks.peers.rabbitmq_peers import RABBITMQ_PEERS
from benchmarks.peers.redis_peers import REDIS_PEERS
from benchmarks.report import machine

ON_SERVERS = {"redis": REDIS_PEERS, "postgres": POSTGRES_PEERS, "nats": NATS_PEERS, "rabbitmq": RABBITMQ_PEERS}


def main() -> int:
    """Measure the peers that were asked for; 2 for a name that nobody has."""
    names = [*rates.PEERS, *(name for peers in ON_SERVERS.values() for name in peers.needs)]
    parser = argparse.ArgumentParser(prog="python -m benchmarks.peers", description=__doc__)
    parser.add_argument(
        "--only", action="append", choices=[*names, *ON_SERVERS], help="repeatable; a server: all that run on it"
    )
    parser.add_argument("--rounds", type=int, default=3, help="of which the medians are taken (default 3)")
    arguments = parser.parse_args()
    wanted = set(arguments.only or names)
    print(machine(), flush=True)
    for name, peer in rates.PEERS.items():
        if name in wanted:
            peer.compare(arguments.rounds)
    for store, peers in ON_SERVERS.items():
        if some := peers.needs.keys() if store in wanted else peers.needs.keys() & wanted:
            peers.compare(some, arguments.rounds)
    return 0


if __name__ == "__main__":
    sys.exit(main())
