"""From the options of a task to what stands before its sends."""

from collections.abc import Callable
from typing import Any

from taskiq_core.deduplication import FirstCounts, Guard
from taskiq_core.key_template import KeyTemplate
from taskiq_core.options import TaskOptions
from taskiq_core.replacing import Debouncing, Replacing, debounce_ttl
from taskiq_core.retry import seconds
from taskiq_core.uniqueness import Debounce, Throttle


def compile_guard(task_name: str, func: Callable[..., Any], options: TaskOptions) -> Guard | None:
    """The guard that `unique`, `debounce` or `throttle` ask for; None for most tasks.

    :raises ConfigurationError: for a key that does not fit the function.
    """
    wish = options.unique
    if wish is None:
        return None
    key = KeyTemplate(wish.key, func, task_name=task_name, cast=options.cast_types)
    if isinstance(wish, Throttle):
        return FirstCounts("throttled", task_name, key, seconds(wish.per))
    if isinstance(wish, Debounce):
        wait = seconds(wish.wait)
        max_wait = None if wish.max_wait is None else seconds(wish.max_wait)
        return Debouncing(
            "debounced", task_name, key, debounce_ttl(wait, max_wait), "started",
            stores_result=options.store_result, result_ttl=options.result_ttl, wait=wait, max_wait=max_wait,
        )  # fmt: skip
    if wish.on_conflict == "replace":
        return Replacing(
            "unique", task_name, key, seconds(wish.ttl), wish.until,
            stores_result=options.store_result, result_ttl=options.result_ttl,
        )  # fmt: skip
    return FirstCounts("unique", task_name, key, seconds(wish.ttl), wish.until, wish.on_conflict == "raise")
