"""No option is ever silently ignored: the check at start-up."""

from collections.abc import Iterable
from typing import Any

from taskiq_core.abc.sender import Sender
from taskiq_core.capability import Capability
from taskiq_core.decor import AsyncTaskiqDecoratedTask
from taskiq_core.exceptions import ConfigurationError, UnsupportedOptionError
from taskiq_core.limits import Limit, setting_key
from taskiq_core.requirements import require_capability, require_coordinator, require_places
from taskiq_core.uniqueness import Debounce


def check_options(broker: Sender, tasks: Iterable[AsyncTaskiqDecoratedTask[..., Any]]) -> None:
    """Refuse tasks and routes whose options `broker` would ignore.

    :raises UnsupportedOptionError: naming task or route, option and remedy.
    """
    if broker.routes is not None:
        for pattern, route in broker.routes.by_pattern.items():
            subject = f"The route {pattern!r}"
            require_places(broker, subject, queue=route.queue, priority=route.priority, delay=route.delay)
    limits: dict[str, Limit] = {}
    for task in tasks:
        options = task.options
        subject = f"Task {task.task_name!r}"
        require_places(broker, subject, queue=options.queue, priority=options.priority, delay=options.delay)
        if options.dead_letter:
            require_capability(broker, Capability.DEAD_LETTER, subject, "dead_letter=True")
        _require_limits(broker, task, limits)
        if isinstance(options.unique, Debounce) and options.delay:
            reason = f"{subject} is debounced, which says when it runs, and has a delay: drop one of the two."
            raise ConfigurationError(reason=reason)
        if task.guard is not None:
            task.guard.check(broker)
        backend = broker.result_backend
        if options.result_ttl is not None and not backend.serves_ttl:
            raise UnsupportedOptionError(
                subject=f"Task {task.task_name!r}",
                option=f"result_ttl={options.result_ttl:g}",
                provider=type(backend).__name__,
                capability="set_results()",
                remedy="Drop the option or use a result backend that has it.",
            )


def _require_limits(broker: Sender, task: AsyncTaskiqDecoratedTask[..., Any], known: dict[str, Limit]) -> None:
    mine: set[str] = set()
    for limit in task.options.limits:
        kind, identity = type(limit).__name__, setting_key(limit, task.task_name)
        require_coordinator(broker, f"Task {task.task_name!r}", f"{kind}(...)")
        if identity in mine:
            reason = f"Task {task.task_name!r} has two {kind} limits with one key: give each a name of its own, as in name='a'."
            raise ConfigurationError(reason=reason)
        mine.add(identity)
        if known.setdefault(identity, limit).setting != limit.setting:
            reason = f"The limit {limit.name!r} is not the same for all tasks that share it: {limit} of {task.task_name!r}."
            raise ConfigurationError(reason=reason)
