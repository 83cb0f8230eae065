"""No option is ever silently ignored: the check at start-up."""

from collections.abc import Iterable
from typing import Any

from taskiq_core.abc.sender import Sender
from taskiq_core.capability import Capability
from taskiq_core.decor import AsyncTaskiqDecoratedTask
from taskiq_core.exceptions import UnsupportedOptionError
from taskiq_core.kicker import require_capability
from taskiq_core.options import TaskOptions
from taskiq_core.routes import Route


def check_options(broker: Sender, tasks: Iterable[AsyncTaskiqDecoratedTask[..., Any]]) -> None:
    """Refuse tasks and routes whose options `broker` would ignore.

    :raises UnsupportedOptionError: naming task or route, option and remedy.
    """
    if broker.routes is not None:
        for pattern, route in broker.routes.by_pattern.items():
            _require_places(broker, f"The route {pattern!r}", route)
    for task in tasks:
        options = task.options
        _require_places(broker, f"Task {task.task_name!r}", options)
        if options.dead_letter:
            require_capability(broker, Capability.DEAD_LETTER, f"Task {task.task_name!r}", "dead_letter=True")
        backend = broker.result_backend
        if options.result_ttl is not None and not backend.serves_ttl:
            raise UnsupportedOptionError(
                subject=f"Task {task.task_name!r}",
                option=f"result_ttl={options.result_ttl:g}",
                provider=type(backend).__name__,
                capability="set_results()",
                remedy="Drop the option or use a result backend that has it.",
            )


def _require_places(broker: Sender, subject: str, wish: TaskOptions | Route) -> None:
    wanted = (
        (wish.queue is not None, Capability.QUEUES, f"queue={wish.queue!r}"),
        (wish.priority is not None, Capability.PRIORITY, f"priority={wish.priority}"),
        (wish.delay is not None, Capability.DELAY, f"delay={wish.delay}"),
    )
    for is_set, capability, text in wanted:
        if is_set:
            require_capability(broker, capability, subject, text)
