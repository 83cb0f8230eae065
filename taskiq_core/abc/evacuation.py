"""Taking what waits out of a queue, for another broker."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self


@dataclass(frozen=True, slots=True)
class Waiting:
    """A message that waits in a queue: nobody holds it."""

    task_id: str
    body: bytes
    """The newest: what a holder gave back with another body has that one."""
    queue: str
    priority: int
    """0 to 9; that of messages sent without one is 5."""
    delay: float | None = None
    """Seconds from now until it is due; None if it is ready or parked."""
    receipt: Any = field(default=None, repr=False, compare=False)
    """The broker's own handle on it; opaque to everyone else."""


class Evacuation(ABC):
    """What waits in one queue, page by page; entered and left by one caller, who moves it to another broker.

    The caller has paused the queue at least a second ago (`QueueAdmin.pause`), and resumes it when all is done. So nobody
    receives what waits, also if this process dies at any moment: it is paused still, and what was not removed is still there.
    Workers go on with what they hold, and what they give back waits in the queue with the rest. Messages are sent to the queue
    as ever. There is at most one evacuation of a queue at a time.

    The caller sends each page to its new place before it removes it here; a page that was sent and not removed is sent again
    when somebody evacuates the queue once more.
    """

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Leave what was not removed as it was: ready in its order, delayed until it was due, parked in its line.

        It has no death more. Where a server counts deliveries by itself, it may have one more of those.
        """
        return

    @abstractmethod
    async def next(self, limit: int) -> Sequence[Waiting]:
        """At most `limit` (1 or more) messages that wait and were not returned before; empty at once if there are none.

        Those that are ready come first, in the order in which a worker would get them if nothing more were sent: the highest
        priority first, and the oldest of each. Then the parked and the delayed, in any order. What was sent or given back
        meanwhile is found by a later call, also after one that found nothing. Messages without a task id, which others have
        put there, are left out. Cancelling loses nothing.

        :raises BrokerError: if the broker cannot be reached.
        """

    @abstractmethod
    async def remove(self, messages: Sequence[Waiting]) -> None:
        """Delete these, which `next` returned, for good; when it returns, that outlives the death of this process.

        Those that are gone already are ignored: the caller may repeat the call after an error. The ids are free at once.

        :raises BrokerError: if the broker cannot be reached; some of them may be gone.
        """
