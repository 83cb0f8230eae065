"""A dead letter as people and programs read it. Its texts are of others: nothing in them reaches a terminal as a command."""

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any, cast

from taskiq_core.dead_letters import DeadTask


def as_table(letters: Sequence[DeadTask]) -> list[str]:
    """One line for each, below what the columns are."""
    rows = [("id", "died", "queue", "task", "error or reason")]
    for letter in letters:
        when = letter.died_at.isoformat(sep=" ", timespec="seconds")
        why = " ".join((letter.error or letter.reason).split())
        rows.append((letter.id, when, _printable(letter.queue), _printable(letter.task_name or "?"), _printable(why)))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(f"{cell:{width}}" for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def as_page(letter: DeadTask) -> str:
    """Everything."""
    facts = {
        "id": letter.id,
        "task": letter.task_name or "? (the body is no message)",
        "task id": letter.task_id or "?",
        "queue": letter.queue,
        "died": letter.died_at.isoformat(sep=" ", timespec="seconds"),
        "deliveries": letter.deliveries,
        "reason": letter.reason,
        "error": letter.error,
        "args": None if letter.args is None else repr(letter.args),
        "kwargs": None if letter.kwargs is None else repr(letter.kwargs),
        "labels": repr(letter.labels) if letter.labels else None,
        "body": None if letter.task_name else f"{len(letter.body)} bytes: {letter.body[:200]!r}",
    }
    lines = [f"{name + ':':<12}{value}" for name, value in facts.items() if value is not None]
    if letter.traceback:
        lines += ["", letter.traceback.rstrip()]
    return _printable("\n".join(lines))


def as_json_line(letter: DeadTask) -> str:
    """Everything but the body, as one JSON object; what JSON has not is a text in it."""
    data = {name: getattr(letter, name) for name in letter.__dataclass_fields__ if name != "body"}
    text = json.dumps(_plain({**data, "died_at": letter.died_at.isoformat()}), ensure_ascii=False)
    return text.encode(errors="backslashreplace").decode()  # of half a character that is how JSON writes it


def _plain(value: object) -> Any:
    if isinstance(value, Mapping):
        items = cast("Mapping[object, object]", value).items()
        return {key if isinstance(key, str) else str(key): _plain(item) for key, item in items}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in cast("list[object]", value)]
    if value is None or isinstance(value, str | int) or (isinstance(value, float) and math.isfinite(value)):
        return value
    return str(value)


def _printable(text: str) -> str:
    return "".join(c if c.isprintable() or c in "\n\t" else c.encode("unicode_escape").decode() for c in text)
