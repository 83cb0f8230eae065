"""Where tasks go by their names."""

import fnmatch
from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import timedelta
from typing import Any, TypedDict, cast

from taskiq_core.exceptions import ConfigurationError
from taskiq_core.labels import DELAY, PRIORITY, QUEUE, check_queue, parse_priority
from taskiq_core.retry import seconds


class RouteFields(TypedDict, total=False):
    """A route written as a dict."""

    queue: str
    priority: int
    delay: float | timedelta


@dataclass(frozen=True, slots=True)
class Route:
    """What the messages of some tasks get that their senders do not set: None leaves the task's own option.

    :raises ValueError: for values that make no sense.
    """

    queue: str | None = None
    priority: int | None = None
    delay: float | timedelta | None = None

    def __post_init__(self) -> None:
        if self.queue is not None:
            check_queue(self.queue)
        if self.priority is not None:
            object.__setattr__(self, "priority", parse_priority(self.priority))
        if self.delay is not None:
            object.__setattr__(self, "delay", seconds(self.delay))

    @property
    def labels(self) -> dict[str, Any]:
        """As they travel."""
        labels: dict[str, Any] = {}
        QUEUE.set(labels, self.queue)
        PRIORITY.set(labels, self.priority)
        DELAY.set(labels, None if self.delay is None else seconds(self.delay))
        return labels


class Routes:
    """Routes by the name of a task or a pattern with `*`, `?` and `[...]`.

    An exact name beats patterns, and the first pattern that fits wins.

    :raises ConfigurationError: for a route that cannot be read.
    """

    def __init__(self, routes: Mapping[str, Route | RouteFields]) -> None:
        self.by_pattern: Mapping[str, Route] = {pattern: _read(pattern, route) for pattern, route in routes.items()}
        self._found: dict[str, Mapping[str, Any]] = {}

    def labels(self, task_name: str) -> Mapping[str, Any]:
        """What the route of that task sets; empty without one."""
        found = self._found.get(task_name)
        if found is None:
            route = self._find(task_name)
            found = self._found[task_name] = {} if route is None else route.labels
        return found

    def _find(self, task_name: str) -> Route | None:
        exact = self.by_pattern.get(task_name)
        if exact is not None:
            return exact
        return next((route for pattern, route in self.by_pattern.items() if fnmatch.fnmatchcase(task_name, pattern)), None)


def _read(pattern: str, route: object) -> Route:
    try:
        return route if isinstance(route, Route) else Route(**cast("Any", route))
    except (TypeError, ValueError) as error:
        known = ", ".join(item.name for item in fields(Route))
        msg = f"The route {pattern!r} cannot be read: {error}. It is a Route(...) or a dict, of {known}."
        raise ConfigurationError(reason=msg) from error
