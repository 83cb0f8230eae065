"""What a benchmark is and what it gives."""

import enum
import statistics
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import TypeVar

from benchmarks.clock import Time

T = TypeVar("T")


class Scale(enum.Enum):
    """How much to measure."""

    FULL = "full"
    QUICK = "quick"
    TINY = "tiny"
    """Only shows that it runs: its figures mean nothing."""

    def pick(self, full: T, quick: T, tiny: T) -> T:
        """The one for this scale."""
        return {Scale.FULL: full, Scale.QUICK: quick, Scale.TINY: tiny}[self]


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured number."""

    name: str
    value: float
    unit: str


@dataclass(frozen=True, slots=True)
class Benchmark:
    """Something that can be measured in rounds; each round gives the same figures, whose names begin with `name`."""

    name: str
    measure: Callable[[Scale], Iterable[Figure]]
    rounds: int = 3


@dataclass(slots=True)
class Series:
    """The values of one figure over all rounds."""

    name: str
    unit: str
    values: list[float] = field(default_factory=list[float])

    @property
    def median(self) -> float:
        """What counts."""
        return statistics.median(self.values)


def collect(benchmark: Benchmark, scale: Scale) -> list[Series]:
    """Measure in rounds and put the figures of the same name together."""
    series: dict[str, Series] = {}
    for _ in range(scale.pick(benchmark.rounds, 1, 1)):
        for figure in benchmark.measure(scale):
            series.setdefault(figure.name, Series(figure.name, figure.unit)).values.append(figure.value)
    return list(series.values())


def percentile(values: Iterable[float], percent: float) -> float:
    """The smallest value that `percent` of all values do not exceed."""
    ordered = sorted(values)
    return ordered[max(0, round(percent / 100 * len(ordered)) - 1)]


def beside_raw(name: str, count: int, raw: Callable[[], Time], ours: Callable[[], Time]) -> Iterator[Figure]:
    """The figures of `count` tasks done by us, compared with a raw loop that runs before and after, on the same machine's mood.

    The ratio of CPU time is the steadier one where other programs compete for the machine.
    """
    before, measured, after = raw(), ours(), raw()
    wall, cpu = (before.wall + after.wall) / 2, (before.cpu + after.cpu) / 2
    yield Figure(f"{name}.rate", count / measured.wall, "tasks/s")
    yield Figure(f"{name}.raw_rate", count / wall, "tasks/s")
    yield Figure(f"{name}.of_raw", wall / measured.wall, "x")
    yield Figure(f"{name}.cpu", measured.cpu / count * 1e6, "us/task")
    yield Figure(f"{name}.raw_cpu", cpu / count * 1e6, "us/task")
    yield Figure(f"{name}.cpu_of_raw", cpu / measured.cpu, "x")
