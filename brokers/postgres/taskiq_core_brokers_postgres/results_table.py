"""Storing results, alone or in the statement that settles their messages."""

# ruff: noqa: S608 - what is put into statements here are constants of ours, and names that `locate` checked

import json
from collections.abc import Iterable, Sequence

from taskiq_core.delivery import StoredResult

_MOST = 7900
"""Bytes of ids that are told; the payload of a notification has 8,000."""
_LONGEST = 1e9
"""Seconds, some thirty years; far longer times do not fit."""


_REPLACE = "ON CONFLICT (task_id) DO UPDATE SET expires = excluded.expires, body = excluded.body"


def store(*ctes: str, replace: bool = True) -> str:
    """The statement that stores what `columns_of` gives, and tells the ids to those who wait, with `ctes` before."""
    stored = f"""stored AS (
        INSERT INTO taskiq.results (task_id, expires, body)
        SELECT task_id, now() + ttl * interval '1 second', body
        FROM unnest($1::text[], $2::float8[], $3::bytea[]) AS given(task_id, ttl, body) WHERE body IS NOT NULL
        {_REPLACE if replace else ""})"""
    return f"WITH {', '.join([*ctes, stored])} SELECT pg_notify('results.taskiq:', $4)"


STORE = store()


def columns_of(
    results: Sequence[StoredResult], default_ttl: float | None, others: Iterable[str] = ()
) -> tuple[list[str], list[float | None], list[bytes | None], str]:
    """The arguments: the last result of each id and rows without one for others, and what is told to those who wait.

    Rows are in an order that all writers share, so that none wait for each other. Told is a list of ids in JSON; nothing where
    they are too many, which means: look for yourselves.
    """
    last = {item.task_id: item for item in results}
    told = json.dumps([*last])
    ids = sorted({*last, *others})
    items = [last.get(task_id) for task_id in ids]
    ttls = [default_ttl if item is None or item.ttl is None else item.ttl for item in items]
    possible = {ttl: None if ttl is None else in_range(ttl) for ttl in set(ttls)}
    return (
        ids,
        [possible[ttl] for ttl in ttls],
        [None if item is None else item.body for item in items],
        told if len(told) <= _MOST else "",
    )


def in_range(seconds: float) -> float:
    """A time from now on that PostgreSQL can express."""
    return min(seconds, _LONGEST)
