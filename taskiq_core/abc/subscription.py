"""The receiving half of a broker."""

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from types import TracebackType
from typing import Any, Self

from taskiq_core.delivery import Delivery, Settlement


class Subscription(ABC):
    """One open subscription to some queues, entered and left by one worker.

    Laws, each tested by `taskiq_core.testing.broker_suite`:

    * every delivery that `receive` returned is the holder's alone until it is settled or its lease ends;
    * an unsettled delivery comes back to somebody when the lease ends, on an idle system too;
    * leaving the subscription gives back at once whatever was received and not settled, also what was forgotten.
    """

    lease: float | None = None
    """Seconds until an unsettled, unextended delivery goes to someone else; None: as long as the connection lives."""

    consumer: str = ""
    """Under what name the broker knows this holder; `bury` takes it."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        return None

    @abstractmethod
    async def receive(self, limit: int) -> Sequence[Delivery]:
        """Wait for at least one delivery and return at most `limit` (1 or more).

        Cancelling loses nothing: what a cancelled call had taken is delivered again at once. May return an empty sequence
        after a wait of its own choosing. Called by one task at a time.

        :raises BrokerError: if the broker cannot be reached; the caller waits and calls again.
        """

    @abstractmethod
    async def settle(self, settlements: Sequence[Settlement]) -> None:
        """Carry out verdicts, the whole batch in one round trip.

        All or nothing where the server allows it, and idempotent: the caller repeats the batch after an error. Deliveries
        that the subscription no longer holds are ignored.

        :raises BrokerError: if the broker cannot be reached.
        """

    async def extend(self, deliveries: Sequence[Delivery]) -> Sequence[Delivery]:
        """Renew the leases of `deliveries`, all in one call, and return those that are no longer held.

        The worker calls it every third of a lease, also with none. Whatever else was received is not renewed with them.

        :raises BrokerError: if the broker cannot be reached.
        """
        return ()

    def forget(self, deliveries: Sequence[Delivery]) -> None:
        """Take note that the worker holds these no longer and will neither settle nor extend them.

        They come back when their lease ends or the subscription is left, and should not count that as a death: these are
        messages with manual acknowledgement that their tasks left open. Optional; returns at once and never raises.
        """
        return

    def extend_from_thread(self, deliveries: Sequence[Delivery]) -> bool:
        """Renew leases from a plain thread, while the event loop is stuck in somebody's code.

        False where the plugin cannot; must not touch the loop.
        """
        return False

    async def unpark(self, counts: Mapping[str, int]) -> None:
        """Deliver up to so many of the messages that are parked for each text, of all queues, those first that wait longest.

        They come before others of their queue. Messages that nobody would take now, for their queue is paused or no living
        subscription receives from it, are passed over: they come only if there are not enough others. The worker calls it on
        brokers with `Capability.PARK` only.

        :raises BrokerError: if the broker cannot be reached.
        """
        return

    def stop_receiving(self) -> None:
        """Take note that `receive` will not be called again: nobody is to be unparked for this subscription any more.

        What is held stays held. For brokers with `Capability.PARK`; returns at once, before others know, and never raises.
        """
        return

    def stores_results_of(self, backend: Any) -> bool:
        """True if `settle` can store results (`Settlement.result`) into `backend` in the same atomic step."""
        return False

    async def bury(self, consumer: str, accused: Collection[str]) -> None:
        """Take note that the process behind the subscription `consumer` is certainly dead.

        Whatever it held comes back now rather than at the end of its lease, each with one death more; messages whose task
        id is in `accused` come back with `Delivery.accused`. Optional: without it the lease does the same, later.
        """
        return
