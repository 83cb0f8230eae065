"""What came out of a task."""

from typing import Any, Generic, Self

from pydantic import BaseModel, ConfigDict, Field, field_serializer, field_validator
from typing_extensions import TypeVar

from taskiq_core.error_codec import exception_from_data, exception_to_data

R = TypeVar("R", default=Any)


class TaskiqResult(BaseModel, Generic[R]):
    """The envelope of one finished task: a value or an error.

    `execution_time` is in seconds and not rounded. `model_dump(mode="json")` turns the error into plain data and
    `model_validate` rebuilds it.
    """

    model_config = ConfigDict(arbitrary_types_allowed=True)

    is_err: bool
    return_value: R
    execution_time: float = 0.0
    labels: dict[str, Any] = Field(default_factory=dict)
    error: BaseException | None = None
    traceback: str | None = None
    """Text of the traceback where it happened."""
    log: str | None = None
    """Kept for plugins; nothing fills it."""

    @field_serializer("error", when_used="json")
    def _error_to_data(self, error: BaseException | None) -> Any:
        return None if error is None else exception_to_data(error)

    @field_validator("error", mode="before")
    @classmethod
    def _error_from_data(cls, value: Any) -> Any:
        return value if value is None or isinstance(value, BaseException) else exception_from_data(value)

    def raise_for_error(self) -> Self:
        """Return self, or raise the task's own exception with the worker's traceback as a note.

        :raises BaseException: whatever the task raised.
        """
        if self.error is None:
            return self
        if self.traceback and not getattr(self.error, "__notes__", None):
            self.error.add_note("The task raised it here:\n" + self.traceback.rstrip())
        raise self.error
