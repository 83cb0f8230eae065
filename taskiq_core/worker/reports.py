"""Who is told that a message begins to run, and that it has ended."""

from taskiq_core.broker import AsyncBroker
from taskiq_core.delivery import Delivery
from taskiq_core.message import TaskiqMessage
from taskiq_core.worker.announcements import Announcements
from taskiq_core.worker.claims import Claims
from taskiq_core.worker.completion_queue import CompletionQueue
from taskiq_core.worker.journal import Journal
from taskiq_core.worker.outcome import Outcome


class Reports:
    """The rooms that want to know. Those that have nothing to do are not called."""

    def __init__(
        self, broker: AsyncBroker, completions: CompletionQueue, journal: Journal, announcements: Announcements, claims: Claims
    ) -> None:
        self._broker = broker
        self._completions = completions
        self._journal = None if broker.records is None else journal
        self._announcements = announcements
        self.starting = claims.starting
        """To be awaited between `started` and the call of the task's function."""

    def started(self, delivery: Delivery, message: TaskiqMessage) -> None:
        """A message begins to run."""
        if self._journal is not None:
            self._journal.started(delivery, message)
        if self._broker.announcer is not None:
            self._announcements.started(delivery, message)

    def ended(self, outcome: Outcome) -> None:
        """Hand over what became of a message."""
        if self._journal is not None:
            self._journal.ended(outcome)
        self._completions.put(outcome)

    def given_back(self, outcome: Outcome) -> None:
        """Hand over what the worker does not end."""
        self._completions.put(outcome)
