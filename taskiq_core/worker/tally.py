"""What a worker has done that is to end by itself: after so many tasks, or when nothing is left."""

from collections.abc import Sequence

from taskiq_core import clock
from taskiq_core.delivery import Verdict
from taskiq_core.worker.outcome import Outcome
from taskiq_core.worker.verdicts import Ending, judge

_LATE = 1.0
"""Seconds by which a parked message may be late."""


class Tally:
    """Counts what has ended, and knows what was parked and has not come back. What is given back counts for nothing."""

    def __init__(self) -> None:
        self.ended = 0
        self._parked: dict[str, float] = {}
        """Task ids, and when they have come back or somebody else has them."""

    def settled(self, outcomes: Sequence[Outcome]) -> None:
        """These have ended, or are given back."""
        for outcome in outcomes:
            if outcome.ending is Ending.PARKED and outcome.message is not None:
                self._parked[outcome.message.task_id] = clock.monotonic() + (outcome.delay or 0.0) + _LATE
                continue
            self.ended += judge(outcome.ending).verdict is not Verdict.RELEASE
            if self._parked and outcome.message is not None:
                self._parked.pop(outcome.message.task_id, None)

    @property
    def waits(self) -> bool:
        """Whether something is parked."""
        if any(due <= clock.monotonic() for due in self._parked.values()):
            self._parked = {task_id: due for task_id, due in self._parked.items() if due > clock.monotonic()}
        return bool(self._parked)
