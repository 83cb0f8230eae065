"""Stores that are each wrong in one way, and one honest schedule source."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import anyio
import anyio.lowlevel

from taskiq_core.abc import ScheduleSource
from taskiq_core.delivery import StoredResult
from taskiq_core.progress import TaskProgress
from taskiq_core.records import TaskStatus, Transition
from taskiq_core.result import TaskiqResult
from taskiq_core.result_backends.inmemory import InMemoryResultBackend
from taskiq_core.schedule import ScheduledTask
from taskiq_core.wire import pack, unpack

Memory = InMemoryResultBackend[Any]


class ReadyTooEarly(Memory):
    async def is_result_ready(self, task_id: str) -> bool:
        return True


class LosesTypes(Memory):
    def dump(self, result: TaskiqResult[Any]) -> bytes:
        plain = json.loads(json.dumps(result.return_value, default=str))
        return super().dump(result.model_copy(update={"return_value": plain}))


class LosesCauses(Memory):
    def dump(self, result: TaskiqResult[Any]) -> bytes:
        error = result.error and type(result.error)(*result.error.args)
        return super().dump(result.model_copy(update={"error": error}))


class ForgetsOnWaitCancel(Memory):
    async def wait_results(self, task_ids: Sequence[str], timeout: float | None = None) -> Mapping[str, TaskiqResult[Any]]:
        try:
            return await super().wait_results(task_ids, timeout)
        except BaseException:
            for task_id in task_ids:
                self._waiting.pop(task_id, None)
            raise


class WakesNobody(Memory):
    async def set_results(self, results: Sequence[StoredResult]) -> None:
        waiting, self._waiting = self._waiting, {}
        await super().set_results(results)
        self._waiting = waiting


class ReturnsOnlyWhenAllAreThere(Memory):
    async def wait_results(self, task_ids: Sequence[str], timeout: float | None = None) -> Mapping[str, TaskiqResult[Any]]:
        found: dict[str, TaskiqResult[Any]] = {}
        for task_id in task_ids:
            found |= await super().wait_results([task_id], timeout)
        return found


class IgnoresTimeout(Memory):
    async def wait_results(self, task_ids: Sequence[str], timeout: float | None = None) -> Mapping[str, TaskiqResult[Any]]:
        return await super().wait_results(task_ids)


class IgnoresTtl(Memory):
    async def set_results(self, results: Sequence[StoredResult]) -> None:
        for item in results:
            item.ttl = None
        await super().set_results(results)


class KeepsTheFirst(Memory):
    async def set_results(self, results: Sequence[StoredResult]) -> None:
        await super().set_results([item for item in results if item.task_id not in self.results])


class StoresTheUnstorable(Memory):
    def dump(self, result: TaskiqResult[Any]) -> bytes:
        try:
            return super().dump(result)
        except Exception:
            return super().dump(TaskiqResult(is_err=False, return_value=repr(result.return_value)))


class LosesProgress(Memory):
    async def set_progress(self, task_id: str, progress: TaskProgress[Any]) -> None:
        await anyio.lowlevel.checkpoint()


class BelievesTheLast(Memory):
    """The status is that of whatever came last."""

    async def record(self, transitions: Sequence[Transition]) -> None:
        for step in transitions:
            self._folds.pop(step.task_id, None)
        await super().record(transitions)


class NeverReopens(Memory):
    async def record(self, transitions: Sequence[Transition]) -> None:
        for step in transitions:
            fold = self._folds.get(step.task_id)
            if fold is None or not fold.status.is_final or step.status.is_final:
                await super().record([step])


class CountsRepeats(Memory):
    async def record(self, transitions: Sequence[Transition]) -> None:
        for step in transitions:
            fold = self._folds.get(step.task_id)
            attempt = (fold.attempts if fold else 0) + 1 if step.status is TaskStatus.RUNNING else None
            await super().record([replace(step, attempt=attempt)])


class CleansUpRunning(Memory):
    async def cleanup(self, *, older_than: float) -> int:
        self._folds.clear()
        return 1


class PagesOverlap(Memory):
    async def list_records(self, **narrow: Any) -> Any:
        return await super().list_records(**{**narrow, "cursor": None})


class MemorySchedules(ScheduleSource):
    """Honest; as bytes."""

    def __init__(self) -> None:
        self.stored: dict[str, bytes] = {}
        self.read: dict[str, bytes] = {}

    async def get_schedules(self) -> list[ScheduledTask]:
        self.read = dict(self.stored)
        return [ScheduledTask(**unpack(body)) for body in self.stored.values()]

    async def add_schedule(self, schedule: ScheduledTask) -> None:
        self.stored[schedule.schedule_id] = pack(schedule.model_dump())

    async def delete_schedule(self, schedule_id: str) -> None:
        self.stored.pop(schedule_id, None)

    async def set_paused(self, schedule_id: str, paused: bool) -> None:
        self.stored[schedule_id] = pack({**unpack(self.stored[schedule_id]), "paused": paused})

    async def wait_changed(self) -> None:
        while self.stored == self.read:
            await anyio.sleep(0.01)


class SchedulesAsJson(MemorySchedules):
    async def add_schedule(self, schedule: ScheduledTask) -> None:
        plain = json.loads(json.dumps(schedule.model_dump(), default=str))
        await super().add_schedule(ScheduledTask(**{**plain, "interval": schedule.interval}))


class SchedulesAppended(MemorySchedules):
    async def add_schedule(self, schedule: ScheduledTask) -> None:
        self.stored[f"{len(self.stored)}"] = pack(schedule.model_dump())


class SchedulesHidePaused(MemorySchedules):
    async def get_schedules(self) -> list[ScheduledTask]:
        return [item for item in await super().get_schedules() if not item.paused]


class SchedulesPauseAnything(MemorySchedules):
    async def set_paused(self, schedule_id: str, paused: bool) -> None:
        if schedule_id in self.stored:
            await super().set_paused(schedule_id, paused)


class SchedulesRace(MemorySchedules):
    async def add_schedule(self, schedule: ScheduledTask) -> None:
        stored = dict(self.stored)
        await anyio.lowlevel.checkpoint()
        stored[schedule.schedule_id] = pack(schedule.model_dump())
        self.stored = stored


class SchedulesTellOnlyWhoWaits(MemorySchedules):
    async def wait_changed(self) -> None:
        self.read = dict(self.stored)
        await super().wait_changed()


class SchedulesTellOfNoPause(MemorySchedules):
    async def wait_changed(self) -> None:
        while self.stored.keys() == self.read.keys():
            await anyio.sleep(0.01)
