"""`python -m benchmarks.peers`: install the peers, measure each beside us, print what came out. Enforces nothing."""

import json
import statistics
import subprocess
import sys
import venv
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from benchmarks import core, sqlite_drain
from benchmarks.figures import Figure, Scale
from benchmarks.report import machine

_HERE = Path(__file__).parent
_ENVIRONMENTS = Path(".venv-peers")
_ROUNDS = 3


@dataclass(frozen=True)
class Peer:
    """A script, what it needs, and what of ours does the same."""

    script: str
    requirements: tuple[str, ...]
    variants: tuple[str, ...]
    ours: Callable[[Scale], Iterator[Figure]]

    def install(self) -> Path:
        """The interpreter of an environment that has it."""
        folder = _ENVIRONMENTS / self.requirements[0]
        python = folder / "bin" / "python"
        if not python.exists():
            venv.create(folder, with_pip=True)
            command = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
            subprocess.run([*command, *self.requirements], check=True)
        return python.absolute()

    def rate(self, python: Path, variant: str) -> float:
        """Its tasks per second."""
        command = [str(python), str(_HERE / self.script), variant]
        output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        measured: Mapping[str, float] = json.loads(output)
        return measured["tasks"] / measured["seconds"]


PEERS = (
    Peer("huey_sqlite.py", ("huey==3.5.4",), ("1", "8"), partial(sqlite_drain.measure, "ours", "asyncio")),
    Peer(
        "taskiq_inmemory.py",
        ("taskiq==0.13.0", "orjson==3.13.0"),
        ("worker", "callback"),
        partial(core.measure, "ours", "noop", "asyncio"),
    ),
)


def main() -> int:
    """A line for each variant of each peer; 0."""
    print(machine())
    for peer in PEERS:
        python = peer.install()
        theirs: dict[str, list[float]] = {variant: [] for variant in peer.variants}
        ours: list[float] = []
        for _ in range(_ROUNDS):
            for variant, rates in theirs.items():
                rates.append(peer.rate(python, variant))
            ours += [figure.value for figure in peer.ours(Scale.FULL) if figure.name == "ours.rate"]
        us = statistics.median(ours)
        for variant, rates in theirs.items():
            them = statistics.median(rates)
            print(f"{peer.script} {variant}: {them:,.0f} tasks/s; we: {us:,.0f} tasks/s; {us / them:.2f} times", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
