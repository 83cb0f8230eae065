"""The limits in `budget.toml`: floors are enforced, goals are only reported."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_FILE = Path(__file__).with_name("budget.toml")


@dataclass(frozen=True, slots=True)
class Limit:
    """What a figure should be."""

    at_least: float | None = None
    at_most: float | None = None

    def holds(self, value: float) -> bool:
        """Whether `value` is within it."""
        return (self.at_least is None or value >= self.at_least) and (self.at_most is None or value <= self.at_most)

    def __str__(self) -> str:
        return f">= {self.at_least:,g}" if self.at_least is not None else f"<= {self.at_most:,g}"


@dataclass(frozen=True, slots=True)
class Budget:
    """Limits by the name of the figure."""

    floors: Mapping[str, Limit]
    goals: Mapping[str, Limit]
    peers: Mapping[str, Limit]
    """What ratios to other frameworks should be: reported by `python -m benchmarks.peers`."""

    @classmethod
    def read(cls) -> "Budget":
        """The budget of this repository."""
        data: dict[str, dict[str, dict[str, Any]]] = tomllib.loads(_FILE.read_text())
        return cls(*({name: Limit(**limit) for name, limit in data[part].items()} for part in ("floors", "goals", "peers")))

    def verdict(self, name: str, value: float) -> str:
        """What to say of a figure; empty if it has no limit."""
        said: list[str] = []
        for kind, limits in (("floor", self.floors), ("goal", self.goals)):
            if (limit := limits.get(name)) is not None:
                said.append(f"{kind} {limit}: {'met' if limit.holds(value) else 'MISSED'}")
        return "; ".join(said)

    def broken(self, name: str, value: float) -> bool:
        """Whether a figure breaks a floor."""
        limit = self.floors.get(name)
        return limit is not None and not limit.holds(value)
