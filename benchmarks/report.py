"""Figures for people and for programs."""

import os
import platform
import sqlite3
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from benchmarks.budget import Budget
from benchmarks.figures import Series


def machine() -> str:
    """What it was measured on."""
    return (
        f"{platform.python_implementation()} {platform.python_version()}, SQLite {sqlite3.sqlite_version}, "
        f"{platform.system()} {platform.machine()}, {os.cpu_count()} CPUs, {datetime.now(UTC):%Y-%m-%d}"
    )


def as_row(series: Series, budget: Budget) -> str:
    """One line of the table."""
    low, high = _short(min(series.values)), _short(max(series.values))
    spread = f"{low} to {high}" if len(series.values) > 1 else ""
    verdict = budget.verdict(series.name, series.median)
    return f"{series.name:<32} {_short(series.median):>9} {series.unit:<8} {spread:<20} {verdict}".rstrip()


def as_json(all_series: Sequence[Series], budget: Budget) -> dict[str, Any]:
    """Everything, for comparing runs."""
    figures = {series.name: {"median": series.median, "unit": series.unit, "values": series.values} for series in all_series}
    broken = [series.name for series in all_series if budget.broken(series.name, series.median)]
    return {"machine": machine(), "figures": figures, "broken_floors": broken}


def _short(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
