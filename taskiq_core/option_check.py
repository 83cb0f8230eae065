"""No option is ever silently ignored: the check at start-up."""

from collections.abc import Iterable
from typing import Any

from taskiq_core.abc.sender import Sender
from taskiq_core.capability import Capability
from taskiq_core.decor import AsyncTaskiqDecoratedTask
from taskiq_core.exceptions import ConfigurationError, UnsupportedOptionError
from taskiq_core.kicker import require_capability
from taskiq_core.limits import Limit, setting_key
from taskiq_core.options import TaskOptions
from taskiq_core.routes import Route
from taskiq_core.uniqueness import Debounce, Unique


def check_options(broker: Sender, tasks: Iterable[AsyncTaskiqDecoratedTask[..., Any]]) -> None:
    """Refuse tasks and routes whose options `broker` would ignore.

    :raises UnsupportedOptionError: naming task or route, option and remedy.
    """
    if broker.routes is not None:
        for pattern, route in broker.routes.by_pattern.items():
            _require_places(broker, f"The route {pattern!r}", route)
    limits: dict[str, Limit] = {}
    for task in tasks:
        options = task.options
        _require_places(broker, f"Task {task.task_name!r}", options)
        if options.dead_letter:
            require_capability(broker, Capability.DEAD_LETTER, f"Task {task.task_name!r}", "dead_letter=True")
        _require_limits(broker, task, limits)
        _require_uniqueness(broker, f"Task {task.task_name!r}", options)
        backend = broker.result_backend
        if options.result_ttl is not None and not backend.serves_ttl:
            raise UnsupportedOptionError(
                subject=f"Task {task.task_name!r}",
                option=f"result_ttl={options.result_ttl:g}",
                provider=type(backend).__name__,
                capability="set_results()",
                remedy="Drop the option or use a result backend that has it.",
            )


def require_coordinator(broker: Sender, subject: str, option: str) -> None:
    """Refuse an option that stands on shared state where there is none, or none that the other processes see.

    :raises UnsupportedOptionError: in these cases.
    """
    coordinator = broker.coordinator
    if coordinator is None:
        provider, remedy = type(broker).__name__, "Give the broker a result backend that is a coordinator too, or one beside it"
    elif Capability.CROSS_PROCESS in broker.capabilities and not coordinator.cross_process:
        provider, remedy = type(coordinator).__name__, "Other processes would not see its state: use one that is on a server"
    else:
        return
    remedy = f"{remedy}, with with_coordinator(...). Or drop the option."
    raise UnsupportedOptionError(subject=subject, option=option, provider=provider, capability="shared state", remedy=remedy)


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


def _require_uniqueness(broker: Sender, subject: str, options: TaskOptions) -> None:
    wish = options.unique
    if wish is None:
        return
    option = f"{type(wish).__name__}(...)"
    require_coordinator(broker, subject, option)
    if isinstance(wish, Debounce) and options.delay:
        reason = f"{subject} is debounced, which says when it runs, and has a delay: drop one of the two."
        raise ConfigurationError(reason=reason)
    if isinstance(wish, Debounce):
        require_capability(broker, Capability.DELAY, subject, option)
    if isinstance(wish, Debounce) or (isinstance(wish, Unique) and wish.on_conflict == "replace"):
        require_capability(broker, Capability.DISCARD, subject, option)


def _require_places(broker: Sender, subject: str, wish: TaskOptions | Route) -> None:
    wanted = (
        (wish.queue is not None, Capability.QUEUES, f"queue={wish.queue!r}"),
        (wish.priority is not None, Capability.PRIORITY, f"priority={wish.priority}"),
        (wish.delay is not None, Capability.DELAY, f"delay={wish.delay}"),
    )
    for is_set, capability, text in wanted:
        if is_set:
            require_capability(broker, capability, subject, text)
