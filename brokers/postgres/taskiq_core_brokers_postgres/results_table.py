"""Storing results, alone or in the statement that settles their messages."""

# ruff: noqa: S608 - what is put into statements here are constants of ours, and names that `locate` checked

from collections.abc import Sequence
from typing import Any

from taskiq_core.delivery import StoredResult

_MOST = 7900
"""Bytes of ids that are told; the payload of a notification has 8,000."""
_LONGEST = 1e9
"""Seconds, some thirty years; far longer times do not fit."""


_REPLACE = "ON CONFLICT (task_id) DO UPDATE SET expires = excluded.expires, body = excluded.body"


def store(first: int, *ctes: str, replace: bool = True) -> str:
    """The statement that stores what `columns_of` gives from parameter `first` on, and tells the ids to those who wait.

    Ids are told as a list in JSON; nothing where they are too many, which means: look for yourselves.
    """
    stored = f"""stored AS (
        INSERT INTO taskiq.results (task_id, expires, body)
        SELECT task_id, now() + ttl * interval '1 second', body
        FROM unnest(${first}::text[], ${first + 1}::float8[], ${first + 2}::bytea[]) AS given(task_id, ttl, body)
        {_REPLACE if replace else ""} RETURNING task_id)"""
    return f"""WITH {", ".join([*ctes, stored])}
        SELECT pg_notify('results.taskiq:', CASE WHEN octet_length(ids) > {_MOST} THEN '' ELSE ids END)
        FROM (SELECT json_agg(task_id)::text AS ids FROM stored) AS told"""


STORE = store(1)


def columns_of(results: Sequence[StoredResult], default_ttl: float | None) -> tuple[list[Any], ...]:
    """The arguments: the last result of each id, in an order that all writers share, so that none wait for each other."""
    last = {item.task_id: item for item in results}
    items = [last[task_id] for task_id in sorted(last)]
    ttls = [default_ttl if item.ttl is None else item.ttl for item in items]
    return (
        [item.task_id for item in items],
        [None if ttl is None else in_range(ttl) for ttl in ttls],
        [item.body for item in items],
    )


def in_range(seconds: float) -> float:
    """A time from now on that PostgreSQL can express."""
    return min(seconds, _LONGEST)
