"""How far a task has come."""

import enum
from typing import Any, Generic

from pydantic import BaseModel
from typing_extensions import TypeVar

P = TypeVar("P", default=Any)


class TaskState(str, enum.Enum):
    """States that a task may report beside free text."""

    STARTED = "STARTED"
    FAILURE = "FAILURE"
    SUCCESS = "SUCCESS"
    RETRY = "RETRY"


class TaskProgress(BaseModel, Generic[P]):
    """What a task reported last: a position (`current` of `total`), a message, a state and anything in `meta`."""

    state: TaskState | str = TaskState.STARTED
    meta: P | None = None
    current: float = 0
    total: float = 100
    message: str = ""

    @property
    def percent(self) -> float:
        """0 to 100; 0 where `total` is 0."""
        return min(100.0, max(0.0, 100.0 * self.current / self.total)) if self.total else 0.0
