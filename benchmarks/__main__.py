"""`python -m benchmarks`: measure, print a table, and fail if a floor of the budget is broken."""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks import core, limit_cost, sqlite_drain, sqlite_enqueue
from benchmarks.budget import Budget
from benchmarks.figures import Benchmark, Scale, Series, collect
from benchmarks.footprint import footprint
from benchmarks.idle import idle
from benchmarks.nats_raw import NATS
from benchmarks.postgres_raw import POSTGRES
from benchmarks.rabbitmq_raw import RABBITMQ
from benchmarks.redis_raw import REDIS
from benchmarks.report import as_json, as_row, machine
from benchmarks.server_drain import draining
from benchmarks.server_enqueue import enqueueing
from benchmarks.server_load import load
from benchmarks.stores import Store
from benchmarks.waiting import waiting
from benchmarks.workers import sqlite_arena


def on_server(store: Store[Any]) -> tuple[Benchmark, ...]:
    """All that is measured on a kind of server."""
    return (
        *enqueueing(store),
        *draining(store),
        *load(store),
        *waiting(store.name, store.arena),
        *idle(store.name, store.arena),
        *footprint(store.name, store.arena),
    )


BENCHMARKS: Sequence[Benchmark] = (
    *core.BENCHMARKS,
    *sqlite_enqueue.BENCHMARKS,
    *sqlite_drain.BENCHMARKS,
    *waiting("sqlite", sqlite_arena),
    *idle("sqlite", sqlite_arena),
    *footprint("sqlite", sqlite_arena),
    *on_server(REDIS),
    *on_server(POSTGRES),
    *on_server(NATS),
    *on_server(RABBITMQ),
    *limit_cost.BENCHMARKS,
)


def main() -> int:
    """Measure what was asked for; 1 if a floor is broken, 2 for a name that nothing has."""
    arguments = _arguments()
    if arguments.list:
        print("\n".join(benchmark.name for benchmark in BENCHMARKS))
        return 0
    chosen = [item for item in BENCHMARKS if not arguments.only or any(item.name.startswith(name) for name in arguments.only)]
    if not chosen:
        print(f"No benchmark is called {' or '.join(arguments.only)}. --list shows their names.", file=sys.stderr)
        return 2
    budget = Budget.read()
    print(machine(), flush=True)
    measured: list[Series] = []
    for benchmark in chosen:
        for series in collect(benchmark, arguments.scale):
            measured.append(series)
            print(as_row(series, budget), flush=True)
    if arguments.json is not None:
        arguments.json.write_text(json.dumps(as_json(measured, budget), indent=1) + "\n")
    broken = [series.name for series in measured if budget.broken(series.name, series.median)]
    if arguments.scale is Scale.TINY or not broken:
        return 0
    print(f"Below the floor: {', '.join(broken)}.", file=sys.stderr)
    return 1


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--only", action="append", metavar="NAME", help="benchmarks whose name begins like this; repeatable")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all values there too")
    parser.add_argument("--list", action="store_true", help="print the names and end")
    scales = parser.add_mutually_exclusive_group()
    for scale, text in ((Scale.QUICK, "fewer tasks, one round"), (Scale.TINY, "only try whether it runs")):
        scales.add_argument(f"--{scale.value}", dest="scale", action="store_const", const=scale, help=text)
    parser.set_defaults(scale=Scale.FULL)
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
