"""Pages of records, the newest first: where one ends the next begins."""

from collections.abc import Sequence

from taskiq_core.abc.records import RecordPage
from taskiq_core.stores.record_fold import RecordFold


def begin_of(cursor: str | None) -> tuple[float, str]:
    """`first_seen` and `task_id` that all of the page are below."""
    seen, _, task_id = (cursor or "inf ").partition(" ")
    return float(seen), task_id


def earliest(since: float | None) -> float:
    """A time before which nothing is wanted."""
    return float("-inf") if since is None else since


def page_of(folds: Sequence[RecordFold], limit: int) -> RecordPage:
    """The page of the first `limit` folds; one more says that there is a next page."""
    shown = folds[:limit]
    cursor = f"{shown[-1].first_seen!r} {shown[-1].task_id}" if shown and len(folds) > limit else None
    return RecordPage([fold.record() for fold in shown], cursor)
