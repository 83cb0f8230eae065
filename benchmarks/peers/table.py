"""Peers on a server beside us: each on new ones, each round of a peer followed by one of ours."""

import json
import os
import signal
import statistics
import subprocess
import sys
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.budget import Budget
from benchmarks.peers.environments import interpreter
from benchmarks.peers.ours import Figures, measure_ours, measure_raw
from benchmarks.stores import Store

_HERE = Path(__file__).parent
_DEADLINE = 90.0
_US = "taskiq_core"
_COLUMNS = {
    "drain": "drain, tasks/s",
    "drain_cpu": "worker CPU, us/task",
    "drain_server_cpu": "server CPU, us/task",
    "send_singly": "send one by one, /s",
    "send_concurrently": "100 senders, /s",
    "send_in_bulk": "in bulk, /s",
    "round_trip_p50": "round trip p50, ms",
    "round_trip_p99": "p99, ms",
    "fan_out_in": "1,000 out and in, ms",
}
_SMALLER_IS_BETTER = {"drain_cpu", "drain_server_cpu", "round_trip_p50", "round_trip_p99", "fan_out_in"}


class Table:
    """The figures of everyone over all rounds."""

    def __init__(self, store: str, order: Sequence[str]) -> None:
        self._store = store
        self._order = order
        self._rounds: dict[str, list[Figures]] = defaultdict(list)
        self._ratios: dict[str, list[Figures]] = defaultdict(list)
        """What we had right after a peer, by what the peer had."""

    def add(self, name: str, figures: Figures) -> None:
        """One round of someone that is not compared."""
        self._rounds[name].append(figures)

    def compare(self, peer: str, theirs: Figures, ours: Figures) -> None:
        """One round of a peer, and ours beside it."""
        self.add(peer, theirs)
        self.add(_US, ours)
        self._ratios[peer].append({key: ours[key] / theirs[key] for key in _COLUMNS if key in theirs})

    def show(self) -> None:
        """Print who had what in Markdown, what of the goals is met, and how we compare with each."""
        print("| |" + "".join(f" {title} |" for title in _COLUMNS.values()) + "\n|---|" + "---|" * len(_COLUMNS))
        for name in self._order:
            if name in self._rounds:
                print(f"| {name} |" + "".join(f" {_cell(self._rounds[name], key)} |" for key in _COLUMNS))
        print("\nWe, by the peer, within one round:\n")
        for peer, ratios in self._ratios.items():
            said = (f"{key} {_median(ratios, key):.3g}" for key in _COLUMNS if key in ratios[0])
            print(f"- {peer}: {', '.join(said)}")
        print()
        for goal, limit in Budget.read().peers.items():
            store, _, wanted = goal.partition(".")
            if store == self._store and (value := self._against(wanted)) is not None:
                print(f"{goal:<36} {value:.3g} x  goal {limit}: {'met' if limit.holds(value) else 'MISSED'}")

    def _against(self, goal: str) -> float | None:
        """Our ratio to one peer, or to whichever is the best at it."""
        key, _, whom = goal.partition(".of_")
        if whom != "fastest":
            return _median(self._ratios[whom], key) if whom in self._ratios else None
        every = [_median(ratios, key) for ratios in self._ratios.values() if key in ratios[0]]
        return (max if key in _SMALLER_IS_BETTER else min)(every, default=None)


@dataclass(frozen=True)
class Peers:
    """Those on one kind of server, and what each needs, in the order of the table. Their scripts are STORE_PEER.py."""

    store: Store[Any]
    needs: Mapping[str, Sequence[str]]

    def compare(self, only: Collection[str], rounds: int) -> None:
        """Measure those that are wanted, and print the table."""
        store, raw = self.store, f"raw {self.store.driver}"
        pythons = {name: interpreter(needs) for name, needs in self.needs.items() if name in only}
        table = Table(store.name, (_US, raw, *pythons))
        for number in range(1, rounds + 1):
            _attempt(raw, lambda: table.add(raw, measure_raw(store)))
            for name, python in pythons.items():
                print(f"round {number}: {name}", file=sys.stderr, flush=True)
                _attempt(
                    name, lambda name=name, python=python: table.compare(name, self._measure(name, python), measure_ours(store))
                )
        table.show()

    def _measure(self, name: str, python: Path) -> Figures:
        """Sending, and then the rest on another server."""
        figures: dict[str, float] = {}
        for part in ("send", "work"):
            with self.store.server() as server:
                command = [str(python), str(_HERE / f"{self.store.name}_{name}.py"), server.name, part]
                with subprocess.Popen(command, stdout=subprocess.PIPE, start_new_session=True) as process:
                    try:
                        output, _ = process.communicate(timeout=_DEADLINE)
                    finally:
                        with suppress(ProcessLookupError):
                            os.killpg(process.pid, signal.SIGKILL)
            figures |= json.loads(output)
        return figures


def _attempt(name: str, measure: Callable[[], None]) -> None:
    """A peer that fails in one round is told of and has fewer rounds."""
    try:
        measure()
    except (subprocess.SubprocessError, json.JSONDecodeError) as error:
        print(f"{name} failed: {error}", file=sys.stderr, flush=True)


def _median(rounds: Sequence[Figures], key: str) -> float:
    return statistics.median(figures[key] for figures in rounds)


def _cell(rounds: Sequence[Figures], key: str) -> str:
    if key not in rounds[0]:
        return ""
    values = [figures[key] for figures in rounds]
    return f"{_short(statistics.median(values))} ({_short(min(values))} to {_short(max(values))})"


def _short(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
