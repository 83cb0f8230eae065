"""Looking into queues and dead letters, and pausing queues, for operators and tests."""

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
    async def pause(self, queue: str) -> None:
        """Deliver nothing more of a queue, to no worker of any process, within a second; until `resume`.

        Messages are accepted and kept, and delayed ones fall due and wait with the others. What workers hold is theirs: it
        is extended and settled as ever, and what they give back waits. A pause lasts as long as messages do: on durable
        brokers it survives restarts. A queue may be paused before its first use, and again while it is paused.
        """

    @abstractmethod
    async def resume(self, queue: str) -> None:
        """Deliver again; who waits gets what there is within a second. Does nothing for a queue that is not paused."""

    @abstractmethod
    async def paused(self) -> frozenset[str]:
        """The queues that are paused now."""

    @abstractmethod
    async def dead_letters(self, *, queue: str | None = None, limit: int = 100) -> Sequence[DeadLetter]:
        """Newest first."""

    @abstractmethod
    async def requeue_dead(self, ids: Sequence[str]) -> int:
        """Put dead letters back into their queues as if new; returns how many existed."""

    @abstractmethod
    async def purge_dead(self, ids: Sequence[str] | None = None) -> int:
        """Delete some dead letters, or all; returns how many."""
