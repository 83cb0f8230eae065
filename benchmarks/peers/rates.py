"""Peers that are measured by one figure: how many tasks a second."""

import json
import statistics
import subprocess
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from benchmarks import core, sqlite_drain
from benchmarks.figures import Figure, Scale
from benchmarks.peers.environments import interpreter

_HERE = Path(__file__).parent


@dataclass(frozen=True)
class Peer:
    """A script, what it needs, and what of ours does the same."""

    script: str
    requirements: tuple[str, ...]
    variants: tuple[str, ...]
    ours: Callable[[Scale], Iterator[Figure]]

    def compare(self, rounds: int) -> None:
        """Measure it beside us and print a line for each variant."""
        python = interpreter(self.requirements)
        theirs: dict[str, list[float]] = {variant: [] for variant in self.variants}
        ours: list[float] = []
        for _ in range(rounds):
            for variant, rates in theirs.items():
                rates.append(self._rate(python, variant))
            ours += [figure.value for figure in self.ours(Scale.FULL) if figure.name == "ours.rate"]
        us = statistics.median(ours)
        for variant, rates in theirs.items():
            them = statistics.median(rates)
            print(f"{self.script} {variant}: {them:,.0f} tasks/s; we: {us:,.0f} tasks/s; {us / them:.2f} times", flush=True)

    def _rate(self, python: Path, variant: str) -> float:
        command = [str(python), str(_HERE / self.script), variant]
        output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        measured: Mapping[str, float] = json.loads(output)
        return measured["tasks"] / measured["seconds"]


PEERS = {
    "huey": Peer("huey_sqlite.py", ("huey==3.5.4",), ("1", "8"), partial(sqlite_drain.measure, "ours", "asyncio")),
    "taskiq-inmemory": Peer(
        "taskiq_inmemory.py",
        ("taskiq==0.13.0", "orjson==3.13.0"),
        ("worker", "callback"),
        partial(core.measure, "ours", "noop", "asyncio"),
    ),
}
