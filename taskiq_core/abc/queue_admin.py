"""Looking into queues and dead letters, for operators and tests."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

from taskiq_core.delivery import DeadLetter


@dataclass(frozen=True, slots=True)
class QueueDepth:
    """How many messages a queue holds."""

    ready: int = 0
    delayed: int = 0
    leased: int = 0


class QueueAdmin(ABC):
    """`AsyncBroker.admin` of brokers that declare `Capability.DEAD_LETTER`."""

    @abstractmethod
    async def depth(self, queue: str) -> QueueDepth:
        """Counts of one queue; zeros for a queue that nobody has used."""

    @abstractmethod
    async def purge(self, queue: str) -> int:
        """Delete what is ready or delayed (not what workers hold); returns how many."""

    @abstractmethod
    async def dead_letters(self, *, queue: str | None = None, limit: int = 100) -> Sequence[DeadLetter]:
        """Newest first."""

    @abstractmethod
    async def requeue_dead(self, ids: Sequence[str]) -> int:
        """Put dead letters back into their queues as if new; returns how many existed."""

    @abstractmethod
    async def purge_dead(self, ids: Sequence[str] | None = None) -> int:
        """Delete some dead letters, or all; returns how many."""
