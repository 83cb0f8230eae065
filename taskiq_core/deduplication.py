"""Sends of which only the first counts, for as long as its claim lasts: `Unique` and `Throttle`."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any, Final, Protocol

from taskiq_core.abc.coordinator import Claim, Coordinator
from taskiq_core.abc.sender import Sender
from taskiq_core.claiming import (
    Pairs,
    asked,
    back_again,
    claim_key,
    coordinator_of,
    give_back,
    gone_among,
    pause_before,
    send_or_give_back,
)
from taskiq_core.exceptions import ConfigurationError, DuplicateTaskError
from taskiq_core.labels import UNIQUE
from taskiq_core.message import TaskiqMessage
from taskiq_core.requirements import require_coordinator
from taskiq_core.task import Outcome
from taskiq_core.transactions import transaction_of
from taskiq_core.uniqueness import Place, Until

_OPTIONS: Final = {"unique": "Unique", "throttled": "Throttle", "debounced": "Debounce"}

Key = Callable[[Sequence[Any], dict[str, Any]], str]
"""A compiled key: see `KeyTemplate`."""


@dataclass(frozen=True, slots=True)
class Sent:
    """What became of one message: `task_id` is that of the task that will run for it, which may be an earlier one."""

    task_id: str
    outcome: Outcome


class Guard(Protocol):
    """Stands before the broker and lets through what is no duplicate."""

    @property
    def option(self) -> str:
        """As it is written in code."""
        ...

    def check(self, broker: Sender) -> None:
        """Refuse a broker through which this cannot be done.

        :raises UnsupportedOptionError: naming what is missing.
        """
        ...

    async def send(self, broker: Sender, messages: Sequence[TaskiqMessage], *, chosen: bool) -> list[Sent]:
        """Send those that count; one answer for each message, in their order.

        `chosen` says that a task id is not fresh, so that this may be a repeat of an earlier send.

        :raises SendTaskError: as `Sender.send`, and where the coordinator does not answer.
        :raises DuplicateTaskError: for a duplicate, where that is wanted.
        """
        ...


def refuse_within(broker: Sender, guard: Guard) -> None:
    """Refuse a guarded send that is part of a transaction: what it claims would stay claimed if that were rolled back.

    :raises ConfigurationError: within a transaction.
    """
    if transaction_of(broker) is not None:
        reason = (
            f"{guard.option} claims its place at once, which no rollback would give back: send after the commit. "
            "Or say with_task_id(...): an id that is queued or running makes no second task."
        )
        raise ConfigurationError(reason=reason)


async def send_guarded(broker: Sender, guard: Guard | None, message: TaskiqMessage) -> Sent:
    """Send a message that is no kicker's, with an id that may be known already."""
    if guard is None:
        await broker.send((message,))
        return Sent(message.task_id, "queued")
    try:
        return (await guard.send(broker, (message,), chosen=True))[0]
    except DuplicateTaskError as error:
        return Sent(error.task_id, "duplicate")


@dataclass(frozen=True)
class FirstCounts:
    """Takes a claim for each message, and sends those whose claim was free.

    `until` is when workers give the claim up; None: it lasts its `ttl`.
    """

    kind: str
    task_name: str
    key: Key
    ttl: float
    until: Until | None = None
    raises: bool = False

    def check(self, broker: Sender) -> None:
        """See `Guard`."""
        require_coordinator(broker, f"Task {self.task_name!r}", self.option)

    @property
    def option(self) -> str:
        """As it is written at the task."""
        return f"{_OPTIONS[self.kind]}(...)"

    async def send(self, broker: Sender, messages: Sequence[TaskiqMessage], *, chosen: bool) -> list[Sent]:
        """See `Guard`."""
        coordinator = await coordinator_of(broker, f"Task {self.task_name!r}, which is {self.kind},")
        claims = [self.claim_for(message) for message in messages]
        held = await renewed(coordinator, claims, self.task_name) if chosen else frozenset[str]()
        fresh = [(claim.key, claim.owner) for claim in claims if claim.key not in held]
        try:
            firsts = await self._take(coordinator, claims)
        except BaseException:
            await give_back(coordinator, fresh)
            raise
        won = [pair for pair, first in zip(zip(messages, claims, strict=True), firsts, strict=True) if first == pair[1].owner]
        if self.raises and len(won) < len(messages):
            await give_back(coordinator, fresh)
            first = next(first for message, first in zip(messages, firsts, strict=True) if first != message.task_id)
            raise DuplicateTaskError(task_name=self.task_name, task_id=first)
        if won:
            await self.send_claimed(broker, coordinator, won, fresh)
        return [
            Sent(first, "queued" if first == message.task_id else "duplicate")
            for message, first in zip(messages, firsts, strict=True)
        ]

    def claim_for(self, message: TaskiqMessage) -> Claim:
        """What the message has to claim.

        :raises ArgumentError: for arguments that the task would refuse.
        """
        key = self.key(message.args, message.kwargs)
        return Claim(claim_key(self.kind, self.task_name, key), message.task_id, self.ttl)

    async def send_claimed(
        self, broker: Sender, coordinator: Coordinator, claimed: Sequence[tuple[TaskiqMessage, Claim]], fresh: Pairs
    ) -> None:
        """Send messages that have their claims, told where these are; a refused send gives the fresh ones back."""
        if self.until is not None:
            for message, claim in claimed:
                UNIQUE.set(message.labels, str(Place(self.until, claim.key)))
        await send_or_give_back(broker, coordinator, [message for message, _ in claimed], fresh)

    async def _take(self, coordinator: Coordinator, claims: Sequence[Claim]) -> list[str]:
        """Who has each claim in the end."""
        firsts: dict[int, str] = {}
        wanted: list[int] = list(range(len(claims)))
        for attempt in count():
            await pause_before(attempt, self.task_name)
            granted = await asked(coordinator.claim([claims[place] for place in wanted]), self.task_name)
            firsts.update((place, claims[place].owner) for place, ok in zip(wanted, granted, strict=True) if ok)
            lost: list[int] = [place for place, ok in zip(wanted, granted, strict=True) if not ok]
            holders = await holders_of(coordinator, [claims[place].key for place in lost], self.task_name)
            firsts.update((place, holders[claims[place].key]) for place in lost if claims[place].key in holders)
            wanted = [place for place in lost if claims[place].key not in holders]  # given up meanwhile
            if not wanted:
                break
        return [firsts[place] for place in range(len(claims))]


async def holders_of(coordinator: Coordinator, keys: Sequence[str], task_name: str) -> dict[str, str]:
    """Who has the claims; those of tasks that were taken out of their queues are given up."""
    if not keys:
        return {}
    holders = await asked(coordinator.holders(keys), task_name)
    gone = await asked(gone_among(coordinator, holders.values()), task_name) if holders else ()
    if gone:
        stale = [(key, holder) for key, holder in holders.items() if holder in gone]
        await asked(coordinator.release(stale), task_name)
    return {key: holder for key, holder in holders.items() if holder not in gone}


async def renewed(coordinator: Coordinator, claims: Sequence[Claim], task_name: str) -> frozenset[str]:
    """The keys that their owners have already: a refused repeat must not give up what the first send has."""
    gone = await asked(back_again(coordinator, [claim.owner for claim in claims]), task_name)
    holders = await asked(coordinator.holders([claim.key for claim in claims]), task_name)
    return frozenset(claim.key for claim in claims if holders.get(claim.key) == claim.owner and claim.owner not in gone)
