"""Moments in the life of a broker that handlers can attach to."""

import enum
from collections.abc import Awaitable, Callable
from typing import Any

from taskiq_core.state import TaskiqState


class TaskiqEvents(str, enum.Enum):
    """`CLIENT_*` fire in processes that only send, `WORKER_*` in workers."""

    CLIENT_STARTUP = "CLIENT_STARTUP"
    CLIENT_SHUTDOWN = "CLIENT_SHUTDOWN"
    WORKER_STARTUP = "WORKER_STARTUP"
    WORKER_SHUTDOWN = "WORKER_SHUTDOWN"


EventHandler = Callable[[TaskiqState], Awaitable[Any] | Any]
