"""Who is told that a message begins to run, and that it has ended."""

from dataclasses import dataclass

from taskiq_core.delivery import Delivery
from taskiq_core.message import TaskiqMessage
from taskiq_core.worker.announcements import Announcements
from taskiq_core.worker.claims import Claims
from taskiq_core.worker.journal import Journal
from taskiq_core.worker.outbox import Outbox
from taskiq_core.worker.outcome import Outcome


@dataclass(slots=True, eq=False)
class Reports:
    """The rooms that want to know."""

    outbox: Outbox
    journal: Journal
    announcements: Announcements
    claims: Claims

    def started(self, delivery: Delivery, message: TaskiqMessage) -> None:
        """A message begins to run."""
        self.journal.started(delivery, message)
        self.announcements.started(delivery, message)
        if message.labels:
            self.claims.started(message)

    def ended(self, outcome: Outcome) -> None:
        """Hand over what became of a message."""
        self.journal.ended(outcome)
        self.outbox.put(outcome)

    def given_back(self, outcome: Outcome) -> None:
        """Hand over what the worker does not end."""
        self.outbox.put(outcome)
