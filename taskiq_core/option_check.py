"""No option is ever silently ignored: the check at start-up."""

from collections.abc import Iterable
from typing import Any

from taskiq_core.abc.sender import Sender
from taskiq_core.capability import Capability
from taskiq_core.decor import AsyncTaskiqDecoratedTask
from taskiq_core.exceptions import UnsupportedOptionError
from taskiq_core.kicker import require_capability


def check_options(broker: Sender, tasks: Iterable[AsyncTaskiqDecoratedTask[..., Any]]) -> None:
    """Refuse tasks whose options `broker` would ignore.

    :raises UnsupportedOptionError: naming task, option and remedy.
    """
    for task in tasks:
        options = task.options
        wanted = (
            (options.queue is not None, Capability.QUEUES, f"queue={options.queue!r}"),
            (options.priority is not None, Capability.PRIORITY, f"priority={options.priority}"),
            (options.delay is not None, Capability.DELAY, f"delay={options.delay}"),
            (options.dead_letter, Capability.DEAD_LETTER, "dead_letter=True"),
        )
        for is_set, capability, text in wanted:
            if is_set:
                require_capability(broker, capability, f"Task {task.task_name!r}", text)
        backend = broker.result_backend
        if options.result_ttl is not None and not backend.serves_ttl:
            raise UnsupportedOptionError(
                subject=f"Task {task.task_name!r}",
                option=f"result_ttl={options.result_ttl:g}",
                provider=type(backend).__name__,
                capability="set_results()",
                remedy="Drop the option or use a result backend that has it.",
            )
