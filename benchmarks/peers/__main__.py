"""`python -m benchmarks.peers`: install the peers, measure each beside us, print what came out. Enforces nothing."""

import argparse
import sys

from benchmarks.peers import rates, redis_table
from benchmarks.report import machine


def main() -> int:
    """Measure the peers that were asked for; 2 for a name that nobody has."""
    names = [*rates.PEERS, *redis_table.PEERS]
    parser = argparse.ArgumentParser(prog="python -m benchmarks.peers", description=__doc__)
    parser.add_argument("--only", action="append", choices=[*names, "redis"], help="repeatable; redis: all that run on it")
    parser.add_argument("--rounds", type=int, default=3, help="of which the medians are taken (default 3)")
    arguments = parser.parse_args()
    wanted = set(arguments.only or names)
    if "redis" in wanted:
        wanted |= redis_table.PEERS.keys()
    print(machine(), flush=True)
    for name, peer in rates.PEERS.items():
        if name in wanted:
            peer.compare(arguments.rounds)
    if wanted & redis_table.PEERS.keys():
        redis_table.compare(wanted, arguments.rounds)
    return 0


if __name__ == "__main__":
    sys.exit(main())
