"""Keeping what the worker holds its own."""

import logging
import threading
import time

import anyio

from taskiq_core.abc.subscription import Subscription
from taskiq_core.delivery import Delivery
from taskiq_core.outage import Outage
from taskiq_core.worker.credit import Credit

logger = logging.getLogger("taskiq.worker")


class Leases:
    """Renews the leases of all held deliveries, in one call, every third of a lease, until told to stop; also where there are
    none, as a broker may have a lease on its consumers.

    A thread watches: if the event loop is stuck in somebody's code for more than half a lease, it renews in the loop's
    place (where the plugin can) and says which evil it has seen.
    """

    def __init__(self, subscription: Subscription, credit: Credit) -> None:
        self._subscription = subscription
        self._credit = credit
        self._loop_ran = time.monotonic()
        self._stopped = threading.Event()
        self._outage = Outage(logger, "Leases are renewed again")

    async def run(self) -> None:
        """Renew until `stop`."""
        lease = self._subscription.lease
        if lease is None:
            return
        guard = threading.Thread(target=self._guard, args=(lease,), name="taskiq-lease-guard", daemon=True)
        guard.start()
        try:
            pause = lease / 3
            while True:
                await anyio.sleep(pause)
                pause = lease / 3 if await self._renew(lease) else lease / 20
        finally:
            self._stopped.set()

    async def _renew(self, lease: float) -> bool:
        self._loop_ran = time.monotonic()
        held = _snapshot(self._credit)
        try:
            with anyio.fail_after(lease / 4):
                lost = await self._subscription.extend(held)
        except Exception as error:  # noqa: BLE001 - tried again at the next turn
            reason = TimeoutError(f"no answer within {lease / 4:g} s") if isinstance(error, TimeoutError) else error
            self._outage.say("Leases could not be renewed, trying again", reason)
            return False
        finally:
            self._loop_ran = time.monotonic()
        self._outage.over()
        lost = [delivery for delivery in lost if delivery in self._credit.held - self._credit.settling]
        if lost:
            logger.error(
                "%d messages were given to another worker while this one held them: it did not renew their leases in time.",
                len(lost),
            )
        return True

    def _guard(self, lease: float) -> None:
        warned = False
        while not self._stopped.wait(lease / 6):
            late = time.monotonic() - self._loop_ran
            if late < lease / 2:
                warned = False
                continue
            helped = self._help()
            if not warned:
                warned = True
                logger.warning(
                    "The event loop has not run for %.1f s: a task blocks it. %s Make it a plain `def` task, so that it runs "
                    "in a thread.",
                    late,
                    "Leases are renewed from a thread meanwhile." if helped else "Leases may be lost.",
                )

    def _help(self) -> bool:
        held = _snapshot(self._credit)
        try:
            return bool(held) and self._subscription.extend_from_thread(held)
        except Exception as error:  # noqa: BLE001 - tried again at the next turn
            logger.warning("Leases could not be renewed from a thread: %s: %s", type(error).__name__, error)
            return False


def _snapshot(credit: Credit) -> list[Delivery]:
    while True:
        try:
            return list(credit.held - credit.acked)
        except RuntimeError:  # the set changed while it was copied: the loop is alive after all
            continue
