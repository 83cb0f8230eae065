"""Limits that are changed while workers run."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol, TypeAlias

from taskiq_core.abc.coordinator import Coordinator
from taskiq_core.abc.sender import Sender
from taskiq_core.capability import Capability
from taskiq_core.decor import AsyncTaskiqDecoratedTask
from taskiq_core.exceptions import ConfigurationError
from taskiq_core.limits import Concurrency, Limit, Rate, margin, places, setting_key, waiting_for_rates
from taskiq_core.requirements import require_coordinator

TaskOrName: TypeAlias = AsyncTaskiqDecoratedTask[..., Any] | str


class LimitedBroker(Sender, Protocol):
    """The part of a broker that this needs."""

    def get_all_tasks(self) -> Mapping[str, AsyncTaskiqDecoratedTask[..., Any]]:
        """All tasks by name."""
        ...


@dataclass(frozen=True, slots=True)
class LimitState:
    """One limit of a task: as the code has it, and as it is in force."""

    task_name: str
    declared: Limit
    current: Limit

    @property
    def is_changed(self) -> bool:
        """Whether it was changed at run time."""
        return self.current.setting != self.declared.setting


class Limits:
    """`broker.limits`: what holds for all workers of all processes, from the next message that asks.

    A change lives in the shared state until it is reset, also beyond a deployment. Every method needs the started broker.

    :raises ConfigurationError: from every method, for a task or a limit that there is not, or a broker without shared state.
    """

    def __init__(self, broker: LimitedBroker) -> None:
        self._broker = broker

    async def change(self, task: TaskOrName, limit: Limit) -> LimitState:
        """Put `limit` in the place of the task's limit of that kind, and let those ask again who wait for the old one.

        Where a task has several of a kind, `key` or `name` says which. Nothing that runs is stopped: a smaller `Concurrency`
        holds when so many have ended. Returns what is in force now.
        """
        name, declared = self._find(task, limit)
        await self._coordinator().put({setting_key(declared, name): limit.setting.encode()})
        await self._wake([(name, declared)])
        return LimitState(name, declared, _as_set(declared, limit.setting.encode()))

    async def reset(self, task: TaskOrName | None = None) -> None:
        """Back to what the code says, for the limits of one task or of all."""
        chosen = list(self._declared(task))
        await self._coordinator().put({setting_key(limit, name): None for name, limit in chosen})
        await self._wake(chosen)

    async def get(self, task: TaskOrName | None = None) -> Sequence[LimitState]:
        """The limits of one task or of all.

        A rate that was changed is told by what it comes to: `Rate(100, per=60, burst=10)` as `Rate(10, per=6)`.
        """
        chosen = list(self._declared(task))
        changed = await self._coordinator().get(list({setting_key(limit, name): None for name, limit in chosen}))
        return [LimitState(name, limit, _as_set(limit, changed.get(setting_key(limit, name)))) for name, limit in chosen]

    def _coordinator(self) -> Coordinator:
        require_coordinator(self._broker, "broker.limits", "a change of limits")
        assert self._broker.coordinator is not None
        return self._broker.coordinator

    def _declared(self, task: TaskOrName | None) -> Iterator[tuple[str, Limit]]:
        known = self._broker.get_all_tasks()
        wanted = task if isinstance(task, str) or task is None else task.task_name
        if wanted is not None and wanted not in known:
            raise ConfigurationError(reason=f"This broker has no task {wanted!r}, so it has no limits of it.")
        for name in sorted(known) if wanted is None else [wanted]:
            for limit in known[name].options.limits:
                yield name, limit

    def _find(self, task: TaskOrName, wish: Limit) -> tuple[str, Limit]:
        mine = list(self._declared(task))
        found = [item for item in mine if type(item[1]) is type(wish)]
        if wish.name is not None:
            found = [item for item in found if item[1].name == wish.name]
        elif wish.key is not None or len(found) > 1:
            found = [item for item in found if item[1].name is None and item[1].key == wish.key]
        if len(found) == 1:
            return found[0]
        name = task if isinstance(task, str) else task.task_name
        has = ", ".join(str(limit) for _, limit in mine) or "none"
        raise ConfigurationError(
            reason=f"Which limit of task {name!r} should become {wish}? Its limits are: {has}. Only those that the code has "
            "can be changed; say `key` or `name` where there are several."
        )

    async def _wake(self, limits: Sequence[tuple[str, Limit]]) -> None:
        admin = self._broker.admin
        if admin is None or Capability.PARK not in self._broker.capabilities:
            return  # they ask again in time
        changed = {setting_key(limit, name) for name, limit in limits}
        prefixes = {
            places(limit, name) if isinstance(limit, Concurrency) else waiting_for_rates(name)
            for name, limit in self._declared(None)
            if setting_key(limit, name) in changed
        }
        for prefix in prefixes:
            await admin.unpark_all(prefix)


def _as_set(declared: Limit, setting: bytes | None) -> Limit:
    if setting is None:
        return declared
    numbers = setting.decode().split()
    if isinstance(declared, Concurrency):
        return replace(declared, n=int(numbers[0]))
    starts, window = int(float(numbers[0])), float(numbers[1])
    return Rate(starts, _asked(window), declared.key, name=declared.name)


def _asked(window: float) -> float:
    """The seconds that become `window` with their margin."""
    without = window / 1.01
    return round(without if without + margin(without) >= window - 1e-9 else window - margin(window), 9)
