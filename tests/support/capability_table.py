"""The table of docs/reference/capabilities.md, from what the brokers declare. Run it, and it brings the page up to date.

Whatever stands in `brokers/` is in the table, beside the broker in memory. A new flag gets a row whose texts are to be written.
"""

import importlib
import tomllib
from pathlib import Path
from typing import Any

from taskiq_core import AsyncBroker, Capability, InMemoryBroker

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "reference" / "capabilities.md"
HOW = "out of date: run `make docs`, or `python tests/support/capability_table.py`"
TITLES = {
    "memory": "memory",
    "sqlite": "SQLite",
    "redis": "Redis",
    "postgres": "PostgreSQL",
    "rabbitmq": "RabbitMQ",
    "nats": "NATS",
}
"""Columns in their order; others follow, by the names of their folders."""
_HEAD = "| capability |"


def brokers() -> dict[str, type[AsyncBroker]]:
    """Every broker of this repository, by the title of its column."""
    found: dict[str, type[AsyncBroker]] = {"memory": InMemoryBroker}
    for manifest in sorted(ROOT.glob("brokers/*/pyproject.toml")):
        project: Any = tomllib.loads(manifest.read_text())["project"]
        points = project["entry-points"]["taskiq_core.brokers"]
        module, _, name = next(iter(points.values())).partition(":")
        found[manifest.parent.name] = getattr(importlib.import_module(module), name)
    return {title: found.pop(name) for name, title in TITLES.items() if name in found} | found


def up_to_date(page: str) -> str:
    """The page with the table as it should be; the last two columns, which say what a flag means, are kept."""
    lines = page.splitlines()
    begin = next(number for number, line in enumerate(lines) if line.startswith(_HEAD))
    end = next(number for number in range(begin, len(lines)) if not lines[number].startswith("|"))
    texts = {cells[0]: cells[-2:] for cells in map(_cells, lines[begin + 2 : end])}
    columns = brokers()
    rows = [[_HEAD.strip("| "), *columns, *_cells(lines[begin])[-2:]], ["---"] * (len(columns) + 3)]
    for flag in Capability:
        claims = ["yes" if flag in broker.capabilities else "no" for broker in columns.values()]
        rows.append([f"`{flag.name}`", *claims, *texts.get(f"`{flag.name}`", ["", ""])])
    return "\n".join([*lines[:begin], *map(_line, rows), *lines[end:]]) + "\n"


def _cells(line: str) -> list[str]:
    return [cell.strip() for cell in line[1:-1].split("|")]


def _line(cells: list[str]) -> str:
    if cells[0] == "---":
        return "|" + "|".join(cells) + "|"
    return "|" + "|".join(f" {cell} " if cell else " " for cell in cells) + "|"


if __name__ == "__main__":
    PAGE.write_text(up_to_date(PAGE.read_text()))
