"""The two messages: what a task call is, and what a broker carries.

Both are slotted dataclasses for the hot path (building, packing and unpacking one costs about 1.5 us, a pydantic model
ten times that) that answer the calls which plugins written for Taskiq make: `model_copy`, `model_dump`, `model_validate`.
"""

import copy
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Self


class ModelLike:
    """The part of pydantic's model interface that plugins use, for dataclasses."""

    __slots__ = ()

    @classmethod
    def model_validate(cls, obj: Any) -> Self:
        """Build from a mapping (unknown keys are ignored) or copy an instance.

        :raises TypeError: if it is neither, or a field without default is missing.
        """
        if isinstance(obj, cls):
            return obj.model_copy()
        if not isinstance(obj, Mapping):
            msg = f"{cls.__name__} expects a mapping, got {type(obj).__name__}"
            raise TypeError(msg)
        names = {item.name for item in fields(cls)}  # type: ignore[arg-type]
        return cls(**{str(key): value for key, value in obj.items() if key in names})  # type: ignore[reportUnknownVariableType]

    def model_dump(self, *, mode: str = "python") -> dict[str, Any]:
        """A dict of all fields; `mode` is accepted for callers that pass "json"."""
        return {item.name: copy.copy(getattr(self, item.name)) for item in fields(self)}  # type: ignore[arg-type]

    def model_dump_json(self) -> str:
        """JSON text of `model_dump`.

        :raises TypeError: if a value has no JSON form.
        """
        return json.dumps(self.model_dump(mode="json"))

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """A copy; containers are shared unless `deep`."""
        twin = copy.deepcopy(self) if deep else copy.copy(self)
        for name, value in (update or {}).items():
            setattr(twin, name, value)
        return twin


@dataclass(slots=True)
class TaskiqMessage(ModelLike):
    """One call of a task."""

    task_id: str
    task_name: str
    labels: dict[str, Any] = field(default_factory=dict[str, Any])
    args: list[Any] = field(default_factory=list[Any])
    kwargs: dict[str, Any] = field(default_factory=dict[str, Any])


@dataclass(slots=True)
class BrokerMessage(ModelLike):
    """A formatted message on its way into a broker.

    `labels` holds only strings, for brokers that copy them into headers. `queue`, `priority` and `delay` (seconds) are the
    same facts typed; None means the broker's default.
    """

    task_id: str
    task_name: str
    message: bytes
    labels: dict[str, str] = field(default_factory=dict[str, str])
    queue: str | None = None
    priority: int | None = None
    delay: float | None = None
