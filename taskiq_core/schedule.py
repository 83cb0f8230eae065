"""When tasks run by themselves: the specs that users write and the schedule that sources store."""

import uuid
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal, Self

from pydantic import BaseModel, Field, field_validator, model_validator

Misfire = Literal["skip", "once", "all"]
"""What to do with fires that nobody made in time: forget them, make one, make all."""


@dataclass(frozen=True, slots=True)
class CronSpec:
    """Cron fields by name; `str()` gives the usual five."""

    minutes: str | int = "*"
    hours: str | int = "*"
    days: str | int = "*"
    months: str | int = "*"
    weekdays: str | int = "*"
    offset: str | timedelta | None = None

    def __str__(self) -> str:
        return f"{self.minutes} {self.hours} {self.days} {self.months} {self.weekdays}"

    def to_cron(self) -> str:
        """Taskiq's name for `str()`."""
        return str(self)


@dataclass(frozen=True, slots=True)
class Cron:
    """By a cron expression (5 fields, or 6 with seconds last, or `@daily` and its like) in time zone `tz` (default UTC)."""

    expression: str
    tz: str | None = None
    name: str | None = None
    args: tuple[Any, ...] = ()
    kwargs: dict[str, Any] = field(default_factory=dict[str, Any])
    misfire: Misfire = "skip"


@dataclass(frozen=True, slots=True)
class Every:
    """At a fixed interval, in seconds (one or more) or as a timedelta.

    Fires lie on a grid from 1970-01-01T00:00Z, the same for every scheduler: 15 minutes means :00, :15, :30 and :45.
    """

    interval: float | timedelta
    name: str | None = None
    args: tuple[Any, ...] = ()
    kwargs: dict[str, Any] = field(default_factory=dict[str, Any])
    misfire: Misfire = "skip"


@dataclass(frozen=True, slots=True)
class At:
    """Once, at a time; a naive datetime is UTC. A time that has passed fires at once."""

    time: datetime
    name: str | None = None
    args: tuple[Any, ...] = ()
    kwargs: dict[str, Any] = field(default_factory=dict[str, Any])


ScheduleSpec = Cron | Every | At


def spec_fields(spec: ScheduleSpec) -> dict[str, Any]:
    """The fields of a `ScheduledTask` that a spec decides."""
    fields: dict[str, Any] = {"args": list(spec.args), "kwargs": dict(spec.kwargs)}
    if spec.name is not None:
        fields["schedule_id"] = spec.name
    match spec:
        case Cron():
            return {**fields, "cron": spec.expression, "cron_offset": spec.tz, "misfire": spec.misfire}
        case Every():
            return {**fields, "interval": spec.interval, "misfire": spec.misfire}
        case At():
            return {**fields, "time": spec.time}


class ScheduledTask(BaseModel):
    """One schedule as sources keep it: exactly what to send, and when.

    Where several times are given, `cron` counts, then `time`, then `interval`.

    :raises ValueError: without any of `cron`, `interval`, `time`; for an interval below one second.
    """

    task_name: str
    labels: dict[str, Any] = Field(default_factory=dict)
    args: list[Any] = Field(default_factory=list)
    kwargs: dict[str, Any] = Field(default_factory=dict)
    task_id: str | None = None
    """The id to send with; None makes one from schedule and due time, the same for every scheduler."""
    schedule_id: str = Field(default_factory=lambda: uuid.uuid4().hex)
    cron: str | None = None
    cron_offset: str | timedelta | None = None
    """Time zone name, or distance from UTC."""
    time: datetime | None = None
    interval: int | float | timedelta | None = None
    misfire: Misfire = "skip"
    paused: bool = False

    @property
    def is_one_off(self) -> bool:
        """Whether it fires once."""
        return self.cron is None and self.time is not None

    @field_validator("interval")
    @classmethod
    def _at_least_a_second(cls, value: float | timedelta | None) -> float | timedelta | None:
        seconds = value.total_seconds() if isinstance(value, timedelta) else value
        if seconds is not None and not seconds >= 1:
            msg = "an interval is at least one second"
            raise ValueError(msg)
        return value

    @model_validator(mode="after")
    def _has_a_time(self) -> Self:
        if self.cron is None and self.interval is None and self.time is None:
            msg = "a schedule needs one of cron, interval and time"
            raise ValueError(msg)
        return self
