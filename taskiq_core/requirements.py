"""What a send or a task needs of its broker: there, or refused with a sentence that says what to do."""

from datetime import timedelta
from typing import Final

from taskiq_core.abc.sender import Sender
from taskiq_core.capability import Capability
from taskiq_core.exceptions import UnsupportedOptionError

COORDINATORS: Final = 'Redis, PostgreSQL or SQLite, as in broker_from_url("amqp://...", results="redis://...")'
"""Our result backends that keep shared state for several processes, and how one is given to a broker that has none."""


def require_capability(broker: Sender, capability: Capability, subject: str, option: str) -> None:
    """Refuse an option that the broker would ignore.

    :raises UnsupportedOptionError: if the broker does not declare `capability`.
    """
    if capability in broker.capabilities:
        return
    remedy = "Drop the option or use a broker that has it."
    if Capability.BATCH not in broker.capabilities:  # then it may be a plugin for Taskiq, and those declare nothing
        name = type(broker).__name__
        remedy += f" If this broker does serve it, declare it: `{name}.capabilities |= Capability.{capability.name}`."
    raise UnsupportedOptionError(
        subject=subject,
        option=option,
        provider=type(broker).__name__,
        capability=str(capability.name),
        remedy=remedy,
    )


def require_places(
    broker: Sender, subject: str, *, queue: str | None, priority: int | None, delay: float | timedelta | None
) -> None:
    """Refuse a queue, a priority or a delay (each unless None) that the broker would ignore.

    :raises UnsupportedOptionError: in these cases.
    """
    wanted = (
        (queue is not None, Capability.QUEUES, f"queue={queue!r}"),
        (priority is not None, Capability.PRIORITY, f"priority={priority}"),
        (delay is not None, Capability.DELAY, f"delay={delay}"),
    )
    for is_set, capability, text in wanted:
        if is_set:
            require_capability(broker, capability, subject, text)


def require_coordinator(broker: Sender, subject: str, option: str) -> None:
    """Refuse an option that stands on shared state where there is none, or none that the other processes see.

    :raises UnsupportedOptionError: in these cases.
    """
    coordinator = broker.coordinator
    if coordinator is None:
        provider = type(broker).__name__
        remedy = f"Give the broker a result backend that is a coordinator too ({COORDINATORS}), or one beside it"
    elif Capability.CROSS_PROCESS in broker.capabilities and not coordinator.cross_process:
        provider, remedy = type(coordinator).__name__, f"Other processes would not see its state: use {COORDINATORS}"
    else:
        return
    remedy = f"{remedy}, with with_coordinator(...). Or drop the option."
    raise UnsupportedOptionError(subject=subject, option=option, provider=provider, capability="shared state", remedy=remedy)
