"""Looking into queues and dead letters, and pausing queues, for operators and tests."""

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from taskiq_core.abc.evacuation import Evacuation
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
        """The queues that are paused now, by whichever process.

        A pause or its end that has returned shows to everybody who asks afterwards, also while others ask.
        """

    async def discard(self, task_ids: Collection[str]) -> frozenset[str]:
        """Remove messages that wait: ready, delayed or parked, in whatever queue, paused or not. Returns whose those were.

        What workers hold stays, and is not in the answer. No worker gets what has been removed. On brokers with
        `Capability.DISCARD`.
        """
        raise NotImplementedError

    def evacuate(self, queue: str) -> Evacuation:
        """What waits in a paused queue, to be moved to another broker. On brokers with `Capability.EVACUATE`."""
        raise NotImplementedError

    async def queues(self) -> frozenset[str] | None:
        """The queues in which there is any message (ready, delayed, parked or held), and those that are paused.

        Others that have been used may be among them. None where the server cannot say.
        """
        return None

    async def unpark_all(self, prefix: str) -> int:
        """Make ready whatever is parked for texts that begin with `prefix`; returns how many. On brokers with
        `Capability.PARK`.
        """
        raise NotImplementedError

    @abstractmethod
    async def dead_letters(
        self, *, queue: str | None = None, limit: int = 100, before: str | None = None
    ) -> Sequence[DeadLetter]:
        """Newest first. `before` is the id of the last letter of the page before this one; it need not exist any more."""

    async def find_dead(self, ids: Sequence[str]) -> Sequence[DeadLetter]:
        """The letters with these ids, in their order; those that do not exist are left out."""
        raise NotImplementedError

    @abstractmethod
    async def requeue_dead(self, ids: Sequence[str], bodies: Mapping[str, bytes] | None = None) -> int:
        """Put dead letters back into their queues as if new; returns how many existed.

        `bodies` are new bodies for some of them, by id.
        """

    @abstractmethod
    async def purge_dead(self, ids: Sequence[str] | None = None, *, older_than: float | None = None) -> int:
        """Delete some dead letters, or all, or those that died more than `older_than` seconds ago; returns how many."""
