"""`broker.tasks`: what can be done to tasks that have been sent."""

import logging
from collections.abc import Collection, Iterable, Mapping
from typing import Any, Protocol

from taskiq_core import clock
from taskiq_core.abc.coordinator import Coordinator
from taskiq_core.abc.sender import Cancelled, Sender
from taskiq_core.announcer import Announcer
from taskiq_core.cancel_marks import LIVES, mark_key, new_marks
from taskiq_core.capability import Capability
from taskiq_core.claiming import note_gone
from taskiq_core.decor import AsyncTaskiqDecoratedTask
from taskiq_core.exceptions import ConfigurationError, TaskCancelledError
from taskiq_core.ids import check_task_id, process_id
from taskiq_core.outbox import Outbox
from taskiq_core.removal import record_removed, store_removed
from taskiq_core.requirements import COORDINATORS
from taskiq_core.result import TaskiqResult
from taskiq_core.task_events import TaskCancelled

logger = logging.getLogger("taskiq.tasks")

_AT_ONCE = 1000
"""Tasks that are cancelled in one go."""
_FINISHED_LIVES = 60.0
"""Seconds that the mark of a task lives that has a result: long enough for a worker that runs it once more."""


class _Broker(Sender, Protocol):
    """The part of a broker that is used here."""

    @property
    def announcer(self) -> Announcer | None: ...

    @property
    def outbox(self) -> Outbox | None: ...

    def find_task(self, task_name: str) -> AsyncTaskiqDecoratedTask[..., Any] | None: ...


class Tasks:
    """Made anew each time it is asked for; keeps nothing."""

    def __init__(self, broker: _Broker) -> None:
        self._broker = broker

    async def cancel(
        self, task_ids: str | Iterable[str], *, reason: str = "no reason given", task_name: str | None = None
    ) -> dict[str, Cancelled]:
        """Cancel tasks, wherever they are; works from any process that shares the coordinator. Returns, for each id:

        * "removed": it waited (queued, delayed, for a retry, for a limit, in a paused queue) and will never start. Its result
          is a `TaskCancelledError` with the reason;
        * "requested": a worker has it, or nobody knows it. What runs is cancelled within about a second: an async task at its
          next `await`; a process is killed; a thread is told, see `Context.cancelled`. It ends as cancelled whatever it
          returns or raises then, and is not retried. A task that is sent under this id within a minute is cancelled too. The
          answer is the same where it has ended so, for this reason, by the time this call returns;
        * "finished": it has another result already, and that stays. Only if it runs again, under this id, is that cancelled.

        A few round trips for each thousand ids. `task_name` says whose `store_result` and `result_ttl` hold for the results of
        what is removed, where the ids are of one task; without it records may tell, and otherwise results are stored as the
        backend likes. Safe to repeat: after an error, or a cancellation of this call, some tasks may be cancelled and others
        not.

        :raises ValueError: for an id that is not a text of 1 to 255 characters.
        :raises ConfigurationError: if the broker has no coordinator.
        :raises TaskiqError: or an error of the driver, if coordinator or broker cannot be reached.
        """
        ids = list(dict.fromkeys(map(check_task_id, [task_ids] if isinstance(task_ids, str) else task_ids)))
        reason = reason.encode(errors="backslashreplace").decode()  # what every store can hold
        coordinator = self._coordinator()
        outcomes: dict[str, Cancelled] = {}
        for start in range(0, len(ids), _AT_ONCE):
            outcomes |= await self._cancel(coordinator, ids[start : start + _AT_ONCE], reason, task_name)
        return outcomes

    async def _cancel(
        self, coordinator: Coordinator, ids: list[str], reason: str, task_name: str | None
    ) -> dict[str, Cancelled]:
        await coordinator.put(new_marks(ids, reason), LIVES)
        removed: Collection[str] = frozenset()
        admin = self._broker.admin
        if admin is not None and Capability.DISCARD in self._broker.capabilities:
            removed = await admin.discard(ids)
        if self._broker.outbox is not None:  # a mark alone would be too old for what comes out of it much later
            removed = frozenset(removed) | await self._broker.outbox.discard(ids)
        if removed:
            await note_gone(coordinator, removed)
            await self._conclude([task_id for task_id in ids if task_id in removed], reason, task_name)
            # What these marks were for is done; left there, they would meet a later task of the same id.
            await coordinator.put(dict.fromkeys(map(mark_key, removed)))
        finished = await self._finished([task_id for task_id in ids if task_id not in removed])
        if finished:
            marks = new_marks(finished, reason)
            await coordinator.put({key: marks[key] for key in map(mark_key, finished)}, _FINISHED_LIVES)
        return {task_id: _outcome(task_id, removed, finished, reason) for task_id in ids}

    def _coordinator(self) -> Coordinator:
        found = self._broker.coordinator
        if found is None:
            raise ConfigurationError(
                reason=f"{type(self._broker).__name__} cannot cancel: it has no coordinator. Give it a result backend that is "
                f"one ({COORDINATORS}), or a coordinator of its own with broker.with_coordinator(...)."
            )
        return found

    async def _conclude(self, task_ids: list[str], reason: str, task_name: str | None) -> None:
        """Do for tasks that no worker will see what the worker does for others."""
        broker, error = self._broker, TaskCancelledError(reason=reason)
        logger.info("%d tasks are cancelled before a worker had them: %s", len(task_ids), reason)
        names = await self._names(task_ids, task_name)
        keeping = {task_id: self._keeping(names.get(task_id)) for task_id in task_ids}
        await store_removed(broker, {task_id: ttl for task_id, (stores, ttl) in keeping.items() if stores}, error)
        self._announce(task_ids, names, reason)
        await record_removed(broker, task_ids, names, error)

    def _announce(self, task_ids: list[str], names: Mapping[str, str], reason: str) -> None:
        announcer = self._broker.announcer
        if announcer is None or not announcer.wants(TaskCancelled):
            return
        where = process_id()
        for task_id in task_ids:
            announcer.announce(
                TaskCancelled(
                    task_id=task_id,
                    task_name=names.get(task_id, "?"),
                    at=clock.time(),
                    queue=None,
                    labels={},
                    attempt=0,
                    worker=where,
                    execution_time=0.0,
                    reason=f"TaskCancelledError: {TaskCancelledError(reason=reason)}",
                )
            )

    async def _names(self, task_ids: list[str], task_name: str | None) -> Mapping[str, str]:
        if task_name is not None:
            return dict.fromkeys(task_ids, task_name)
        if self._broker.records is None:
            return {}
        return {key: record.task_name for key, record in (await self._broker.records.get_records(task_ids)).items()}

    def _keeping(self, task_name: str | None) -> tuple[bool, float | None]:
        task = None if task_name is None else self._broker.find_task(task_name)
        return (True, None) if task is None else (task.options.store_result, task.options.result_ttl)

    async def _finished(self, task_ids: list[str]) -> Mapping[str, TaskiqResult[Any]]:
        backend = self._broker.result_backend
        return await backend.get_results(task_ids) if task_ids and backend.keeps_results else {}


def _outcome(task_id: str, removed: Collection[str], finished: Mapping[str, TaskiqResult[Any]], reason: str) -> Cancelled:
    if task_id in removed:
        return "removed"
    if task_id not in finished:
        return "requested"
    error = finished[task_id].error  # of this very request, if the worker was faster than our look at the results
    return "requested" if isinstance(error, TaskCancelledError) and error.reason == reason else "finished"
