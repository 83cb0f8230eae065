"""What a worker can be told."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypedDict

from taskiq_core.acks import AcknowledgeType
from taskiq_core.defaults import (
    DEFAULT_CONCURRENCY,
    DEFAULT_GRACE,
    DEFAULT_QUEUE,
    MAX_DEATHS,
    MAX_DELIVERIES,
    RESULT_RETRY,
)
from taskiq_core.exceptions import ConfigurationError


class WorkerOptions(TypedDict, total=False):
    """The fields of `WorkerSettings` as keywords."""

    queues: Sequence[str]
    concurrency: int
    prefetch: int | None
    grace: float
    max_tasks: int | None
    burst: bool
    ack_type: AcknowledgeType
    result_retry: float
    max_deliveries: int
    max_deaths: int
    processes: int
    relay: bool


@dataclass(frozen=True, slots=True)
class WorkerSettings:
    """Times are seconds.

    :raises ConfigurationError: for a number that makes no sense.
    """

    queues: Sequence[str] = (DEFAULT_QUEUE,)
    concurrency: int = DEFAULT_CONCURRENCY
    """How many tasks run at once."""
    prefetch: int | None = None
    """How many more messages may wait in the inbox; None adapts it to what the slots start within 50 ms."""
    grace: float = DEFAULT_GRACE
    """How long running tasks may go on after a stop was asked for."""
    max_tasks: int | None = None
    """Stop after this many tasks. What is parked or given back is none."""
    burst: bool = False
    """Stop when the queues are empty, and what this worker has parked for a limit has run; delayed messages are left."""
    ack_type: AcknowledgeType = AcknowledgeType.WHEN_SAVED
    result_retry: float = RESULT_RETRY
    """How long to try to store a result before its message is given back."""
    max_deliveries: int = MAX_DELIVERIES
    """How many times a task that nobody knows is passed on before it is dead-lettered."""
    max_deaths: int = MAX_DEATHS
    """How many processes a task may kill while it runs alone."""
    processes: int = os.cpu_count() or 1
    """How many processes serve tasks with `executor="process"`, and how many serve tasks that must run alone."""

    relay: bool = True
    """Whether to move messages from the broker's outbox to the broker, if it has one."""

    def changed(self, options: WorkerOptions) -> "WorkerSettings":
        """A copy with some fields changed; raises as the constructor."""
        return replace(self, **options) if options else self

    def __post_init__(self) -> None:
        if not self.queues:
            raise ConfigurationError(reason="A worker needs at least one queue.")
        for name, least in (("concurrency", 1), ("processes", 1), ("max_deliveries", 1), ("max_deaths", 1), ("grace", 0)):
            if not getattr(self, name) >= least:  # nan is no number either
                raise ConfigurationError(reason=f"{name} must be {least} or more, not {getattr(self, name)}.")
        for name, least in (("prefetch", 0), ("max_tasks", 1)):
            value = getattr(self, name)
            if value is not None and value < least:
                raise ConfigurationError(reason=f"{name} must be {least} or more, not {value}.")
