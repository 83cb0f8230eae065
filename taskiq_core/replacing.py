"""Sends of which the last counts: `Unique(on_conflict="replace")` and `Debounce`."""

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count
from typing import Final

from taskiq_core import clock
from taskiq_core.abc.coordinator import Claim, Coordinator
from taskiq_core.abc.sender import Sender
from taskiq_core.capability import Capability
from taskiq_core.claiming import (
    Pairs,
    asked,
    back_again,
    coordinator_of,
    give_back,
    gone_among,
    note_gone,
    pause_before,
    undisturbed,
)
from taskiq_core.deduplication import FirstCounts, Sent, holders_of, renewed
from taskiq_core.exceptions import ConfigurationError, TaskCancelledError
from taskiq_core.labels import DELAY
from taskiq_core.message import TaskiqMessage
from taskiq_core.removal import record_removed, store_removed
from taskiq_core.requirements import require_capability
from taskiq_core.send_lock import alone

_WAITS_LONG: Final = 86_400.0
"""Seconds for which a debounced message is found again that is due and gets no worker."""


@dataclass(frozen=True)
class Replacing(FirstCounts):
    """Takes what waits out of its queue and gives its place to the new message. What a worker has keeps its place."""

    stores_result: bool = True
    result_ttl: float | None = None

    @property
    def option(self) -> str:
        """As it is written at the task."""
        return 'Unique(on_conflict="replace")' if self.kind == "unique" else super().option

    def check(self, broker: Sender) -> None:
        """See `Guard`."""
        super().check(broker)
        require_capability(broker, Capability.DISCARD, f"Task {self.task_name!r}", self.option)

    async def send(self, broker: Sender, messages: Sequence[TaskiqMessage], *, chosen: bool) -> list[Sent]:
        """See `Guard`. Of several messages with one key in a batch only the last is sent."""
        self.check(broker)
        coordinator = await coordinator_of(broker, f"Task {self.task_name!r}, which is {self.kind},")
        claims = [self.claim_for(message) for message in messages]
        last = {claim.key: (message, claim) for message, claim in zip(messages, claims, strict=True)}
        ends: dict[str, Sent] = {}
        for key, (message, claim) in last.items():
            async with alone(coordinator, key, self.task_name):
                ends[key] = await self.send_alone(broker, coordinator, message, claim, chosen=chosen)
        return [
            ends[claim.key] if last[claim.key][0] is message else Sent(ends[claim.key].task_id, "duplicate")
            for message, claim in zip(messages, claims, strict=True)
        ]

    async def send_alone(
        self, broker: Sender, coordinator: Coordinator, message: TaskiqMessage, claim: Claim, *, chosen: bool
    ) -> Sent:
        """Send one message while no other sender touches its key."""
        held = await renewed(coordinator, [claim], self.task_name) if chosen else frozenset[str]()
        fresh = [] if claim.key in held else [(claim.key, claim.owner)]
        try:
            for attempt in count():
                await pause_before(attempt, self.task_name)
                if (await asked(coordinator.claim([claim]), self.task_name))[0]:
                    break
                first = (await asked(coordinator.holders([claim.key]), self.task_name)).get(claim.key)
                if first is None:
                    continue  # given up meanwhile
                if not await undisturbed(self._replaces(broker, coordinator, first, message.task_id)):
                    return Sent(first, "duplicate")
                fresh.append((claim.key, first))  # nobody else will give it up
                await asked(coordinator.release([(claim.key, first)]), self.task_name)
        except BaseException:
            await give_back(coordinator, fresh)
            raise
        await self.send_claimed(broker, coordinator, [(message, claim)], fresh)
        return Sent(message.task_id, "queued")

    async def _replaces(self, broker: Sender, coordinator: Coordinator, first: str, successor: str) -> bool:
        """Take out what has the place; False if a worker has it.

        Noted before: if this process is killed half-way, the next sender finds a place whose owner is gone.
        """
        gone = await asked(gone_among(coordinator, [first]), self.task_name)
        if not gone:
            await asked(note_gone(coordinator, [first], self.ttl), self.task_name)
        if await self.take_out(broker, first):
            await self.conclude(broker, first, successor)
        elif not gone:
            await asked(back_again(coordinator, [first]), self.task_name)
            return False
        return True

    async def take_out(self, broker: Sender, task_id: str, outcome: str = "refused") -> bool:
        """Take a message out of its queue, though cancelled; False if it does not wait there."""
        assert broker.admin is not None, "who can DISCARD has one"
        return task_id in await asked(undisturbed(broker.admin.discard([task_id])), self.task_name, outcome)

    async def conclude(self, broker: Sender, task_id: str, successor: str, outcome: str = "refused") -> None:
        """Tell those who wait for the result of what was taken out."""
        error = TaskCancelledError(reason=f"replaced by {successor}")
        if self.stores_result:
            await asked(undisturbed(store_removed(broker, {task_id: self.result_ttl}, error)), self.task_name, outcome)
        recorded = record_removed(broker, [task_id], {task_id: self.task_name}, error)
        await asked(undisturbed(recorded), self.task_name, outcome)


@dataclass(frozen=True)
class Debouncing(Replacing):
    """Sends each message with a delay, and takes out the one before it: after, so that a failed send loses nothing.

    When its series has begun is kept with the claim, which is given up when the message starts; so ends the series.
    """

    wait: float = 0.0
    max_wait: float | None = None

    def check(self, broker: Sender) -> None:
        """See `Guard`."""
        require_capability(broker, Capability.DELAY, f"Task {self.task_name!r}", self.option)
        super().check(broker)

    async def send_alone(
        self, broker: Sender, coordinator: Coordinator, message: TaskiqMessage, claim: Claim, *, chosen: bool
    ) -> Sent:
        """See `Replacing`."""
        if DELAY.get(message.labels):
            reason = f"Task {self.task_name!r} is debounced, which says when it runs, and has a delay: drop one of the two."
            raise ConfigurationError(reason=reason)
        before = (await holders_of(coordinator, [claim.key], self.task_name)).get(claim.key)
        if chosen:
            await asked(back_again(coordinator, [message.task_id]), self.task_name)
        delay = await self._delay(coordinator, claim, goes_on=before is not None)
        DELAY.set(message.labels, delay)
        moved = before is not None and before != message.task_id
        fresh = [(claim.key, claim.owner)] if before != message.task_id else []
        try:
            await self._move(coordinator, claim, before if moved else None, fresh)
            await self.send_claimed(broker, coordinator, [(message, claim)], fresh)
        except BaseException:
            if moved and before is not None:
                await _restore(coordinator, Claim(claim.key, before, claim.ttl))
            raise
        if moved and before is not None and await self.take_out(broker, before, "unknown"):
            await self.conclude(broker, before, message.task_id, "unknown")
        return Sent(message.task_id, "queued")

    async def _move(self, coordinator: Coordinator, claim: Claim, before: str | None, fresh: Pairs) -> None:
        try:
            if before is not None:
                await asked(coordinator.release([(claim.key, before)]), self.task_name)
            await asked(coordinator.claim([claim]), self.task_name)
        except BaseException:
            await give_back(coordinator, fresh)
            raise

    async def _delay(self, coordinator: Coordinator, claim: Claim, *, goes_on: bool) -> float:
        if self.max_wait is None:
            return self.wait
        since, now = f"since:{claim.key}", clock.time()
        known = await asked(coordinator.get([since]), self.task_name) if goes_on else {}
        begun = float(known[since]) if since in known else now
        if since not in known:
            await asked(coordinator.put({since: repr(now).encode()}, self.ttl), self.task_name)
        return max(0.0, min(self.wait, begun + self.max_wait - now))


async def _restore(coordinator: Coordinator, claim: Claim) -> None:
    """The one before goes on, if the claim is free: which it is if the send was refused or cancelled."""
    with contextlib.suppress(Exception):
        await undisturbed(coordinator.claim([claim]))


def debounce_ttl(wait: float, max_wait: float | None) -> float:
    """Seconds for which the last message of a series is found again."""
    return max(wait, max_wait or 0.0) + _WAITS_LONG
