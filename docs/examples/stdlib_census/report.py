"""What the demo shows: a live bar while it runs, tables and the proof at the end."""

import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from stdlib_census.census import ModuleCensus
from stdlib_census.ledger import Account

BAR_WIDTH = 40


class ProgressBar:
    """A line that is drawn again and again on a terminal; elsewhere a new line for every tenth."""

    def __init__(self, total: int) -> None:
        self._total = total
        self._live = sys.stdout.isatty()
        self._tenths = -1

    def draw(self, done: int) -> None:
        """Show that `done` of all are done."""
        share = done / self._total
        bar = "#" * int(share * BAR_WIDTH)
        text = f"[{bar:<{BAR_WIDTH}}] {done:>5,} of {self._total:,} modules"
        if self._live:
            print(f"\r{text}", end="", flush=True)
        elif int(share * 10) > self._tenths:
            self._tenths = int(share * 10)
            print(text, flush=True)

    def finish(self) -> None:
        """Leave the last bar where it is."""
        if self._live:
            print()

    def say(self, text: str) -> None:
        """A line of its own among the bars."""
        print(f"\r{text:<{BAR_WIDTH + 30}}" if self._live else text, flush=True)


def print_census(results: Sequence[ModuleCensus], folder: Path, seconds: float) -> None:
    """Totals, the ten largest modules, the most imported names, and what does not parse."""

    def name(found: ModuleCensus) -> str:
        return Path(found.path).relative_to(folder).as_posix()

    broken = [found for found in results if found.problem]
    imported = Counter(module for found in results for module in found.imports)
    size = sum(found.size for found in results)
    _table(
        f"Census of {folder}",
        [
            ("modules", f"{len(results):,}"),
            ("  that parse", f"{len(results) - len(broken):,}"),
            ("  that do not parse", f"{len(broken):,}"),
            ("lines", f"{sum(found.lines for found in results):,}"),
            ("functions", f"{sum(found.functions for found in results):,}"),
            ("classes", f"{sum(found.classes for found in results):,}"),
            ("throughput", f"{len(results) / seconds:,.0f} modules/s, {size / seconds / 1e6:.1f} MB/s, in {seconds:.1f} s"),
        ],
    )
    largest = sorted(results, key=lambda found: found.lines, reverse=True)[:10]
    _table("The ten largest modules", [(name(found), f"{found.lines:,} lines") for found in largest])
    _table("The most imported names", [(module, f"by {count:,} modules") for module, count in imported.most_common(10)])
    _table("Does not parse", [(name(found), found.problem or "") for found in broken[:10]])
    if len(broken) > 10:
        print(f"  and {len(broken) - 10} more")


def print_proof(modules: Sequence[str], results: Sequence[ModuleCensus], account: Account, killed: int) -> bool:
    """Show whether every module counts exactly once; the ledger knows more than the results do."""
    counted = Counter(found.path for found in results)
    lost = [path for path in modules if counted[path] == 0]
    unexplained = [path for path in account.repeated() if killed not in account.begun[path]]
    once = killed > 0 and not lost and sorted(counted.elements()) == sorted(modules) and not unexplained
    again = [path for path in account.repeated() if path not in unexplained]
    cut_off = sum(killed not in account.ended.get(path, ()) for path in again)
    _table(
        "The proof: one worker was killed, and every module counts once",
        [
            ("modules sent", f"{len(modules):,}"),
            ("results gathered", f"{len(results):,}, of {len(counted):,} different modules"),
            ("runs begun, by the ledger", f"{_total(account.begun.values()):,}"),
            ("runs ended, by the ledger", f"{_total(account.ended.values()):,}"),
            (f"begun again after worker {killed} died", f"{len(again)}"),
            ("  cut off in the middle", f"{cut_off}"),
            ("  done, but not yet reported", f"{len(again) - cut_off}"),
            ("begun again for no reason", f"{len(unexplained)}"),
            ("lost", f"{len(lost)}"),
        ],
    )
    print("\nEvery module was counted exactly once." if once else "\nNOT every module was counted exactly once.")
    return once


def _total(runs: Iterable[list[int]]) -> int:
    return sum(map(len, runs))


def _table(title: str, rows: Sequence[tuple[str, str]]) -> None:
    if rows:
        print(f"\n{title}")
        width = max(len(left) for left, _ in rows)
        print("\n".join(f"  {left:<{width}}  {right}" for left, right in rows))
