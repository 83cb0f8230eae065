"""Transitions to a record, whatever the order in which they come.

The fold keeps the newest transition of each of three kinds, which is all that the status depends on, plus the newest
value of each fact. Every part is a maximum or a minimum, so that folding is commutative and idempotent: a store may fold
in any order, twice, or in SQL.

* opening: PENDING, SCHEDULED, RETRYING; * start: RUNNING; * ending: the four final ones.

The status is that of the ending if it is not older than the opening, else RUNNING if the start is not older than the
opening, else that of the opening.
"""

from dataclasses import dataclass, field

from taskiq_core.records import TaskRecord, TaskStatus, Transition

Moment = tuple[float, int]
"""When, and which of two at the same time counts as later."""

_RANK = {status: rank for rank, status in enumerate(TaskStatus)}
_FACTS = ("task_name", "queue", "worker", "error")


@dataclass(slots=True)
class RecordFold:
    """Everything known about one task so far."""

    task_id: str
    first_seen: float = float("inf")
    """The earliest time of any transition; records are listed by it."""
    attempts: int = 0
    queued_at: float | None = None
    _newest: dict[str, tuple[Moment, TaskStatus]] = field(default_factory=dict[str, tuple[Moment, TaskStatus]])
    _facts: dict[str, tuple[Moment, str]] = field(default_factory=dict[str, tuple[Moment, str]])

    def add(self, step: Transition) -> None:
        """Fold one transition in."""
        moment = (step.at, _RANK[step.status])
        kind = "end" if step.status.is_final else "start" if step.status is TaskStatus.RUNNING else "open"
        known = self._newest.get(kind)
        if known is None or moment > known[0]:
            self._newest[kind] = (moment, step.status)
        for name in _FACTS:
            value = getattr(step, name)
            if value and (name not in self._facts or (moment, value) > self._facts[name]):
                self._facts[name] = (moment, value)
        self.first_seen = min(self.first_seen, step.at)
        self.attempts = max(self.attempts, step.attempt or 0)
        if step.status in {TaskStatus.PENDING, TaskStatus.SCHEDULED}:
            self.queued_at = step.at if self.queued_at is None else min(self.queued_at, step.at)

    @property
    def status(self) -> TaskStatus:
        """Where the task stands."""
        opened = self._newest.get("open", ((float("-inf"), 0), TaskStatus.PENDING))
        for kind in ("end", "start"):
            found = self._newest.get(kind)
            if found is not None and found[0] >= opened[0]:
                return found[1]
        return opened[1]

    def record(self) -> TaskRecord:
        """The record as others see it; an error is shown until the task succeeds."""
        status = self.status
        facts = {name: value for name, (_, value) in self._facts.items()}
        return TaskRecord(
            task_id=self.task_id,
            task_name=facts.get("task_name", ""),
            status=status,
            queue=facts.get("queue"),
            worker=facts.get("worker"),
            attempts=self.attempts,
            error=None if status is TaskStatus.SUCCESS else facts.get("error"),
            queued_at=self.queued_at,
            started_at=self._time_of("start"),
            finished_at=self._time_of("end") if status.is_final else None,
        )

    def _time_of(self, kind: str) -> float | None:
        found = self._newest.get(kind)
        return None if found is None else found[0][0]
