"""What all schedulers know of a fire: who is making it, and whether it was sent."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from taskiq_core.abc.coordinator import Claim, ClaimStore
from taskiq_core.group_commit import GroupCommit
from taskiq_core.scheduler.fire import Fire

_DAY: Final = timedelta(days=1)
_YEARS: Final = timedelta(days=3650)


@dataclass(slots=True)
class _Ask:
    claim: Claim
    granted: bool = False


@dataclass(slots=True)
class _Count:
    key: str
    value: int = 0


class FireLedger:
    """A claim and a counter per fire in the coordinator; without one, what this scheduler itself has sent.

    Concurrent calls share round trips. They raise what the coordinator raises.
    """

    def __init__(self, coordinator: ClaimStore | None) -> None:
        self._coordinator = coordinator
        self._sent: set[str] = set()
        if coordinator is not None:
            self._claims = GroupCommit(_claiming(coordinator))
            self._reads = GroupCommit(_adding(coordinator, 0, _DAY))
            self._notes = GroupCommit(_adding(coordinator, 1, _YEARS))
            self._ends = GroupCommit(coordinator.forget)

    async def claim(self, fire: Fire, owner: str, ttl: timedelta) -> bool:
        """Whether `owner` may make it, for the next `ttl`."""
        if self._coordinator is None:
            return True
        ask = _Ask(Claim(f"fire:{fire.id}", owner, ttl.total_seconds()))
        await self._claims.submit(ask)
        return ask.granted

    async def was_sent(self, fire: Fire) -> bool:
        """Whether somebody has called `note_sent`."""
        if self._coordinator is None:
            return fire.id in self._sent
        count = _Count(_counter(fire))
        await self._reads.submit(count)
        return count.value > 0

    async def note_sent(self, fire: Fire) -> None:
        """Whoever claims it from now on finds that it was sent, until it is settled."""
        if self._coordinator is None:
            self._sent.add(fire.id)
        else:
            await self._notes.submit(_Count(_counter(fire)))

    async def settle(self, fire: Fire, owner: str) -> None:
        """Its source knows that it was sent: keep it only from schedulers that have read the source before."""
        if self._coordinator is None:
            self._sent.discard(fire.id)
        elif await self.claim(fire, owner, _DAY):
            # If the claim were another's by now, that one might be about to ask whether it was sent.
            await self._ends.submit(_counter(fire))


def _counter(fire: Fire) -> str:
    return f"sent:{fire.id}"


def _claiming(coordinator: ClaimStore) -> Callable[[list[_Ask]], Awaitable[None]]:
    async def claim(asks: list[_Ask]) -> None:
        answers = await coordinator.claim([ask.claim for ask in asks])
        for ask, granted in zip(asks, answers, strict=True):
            ask.granted = granted

    return claim


def _adding(coordinator: ClaimStore, amount: int, ttl: timedelta) -> Callable[[list[_Count]], Awaitable[None]]:
    async def add(counts: list[_Count]) -> None:
        values = await coordinator.add({count.key: amount for count in counts}, ttl.total_seconds())
        for count in counts:
            count.value = values[count.key]

    return add
