"""Small real parts for tests of the scheduler: a broker that keeps what it is sent, a source in memory."""

from collections.abc import AsyncGenerator, Awaitable, Callable

import anyio

from taskiq_core.abc.schedule_source import ScheduleSource
from taskiq_core.acks import AckableMessage
from taskiq_core.broker import AsyncBroker
from taskiq_core.message import BrokerMessage, TaskiqMessage
from taskiq_core.result_backends.inmemory import InMemoryResultBackend
from taskiq_core.schedule import ScheduledTask


class KeepingBroker(AsyncBroker):
    """Keeps messages in order of sending; `before_kick` may raise or wait."""

    def __init__(self, backend: InMemoryResultBackend | None = None) -> None:
        super().__init__(backend)
        self.sent: list[TaskiqMessage] = []
        self.before_kick: Callable[[BrokerMessage], Awaitable[None]] | None = None

    async def kick(self, message: BrokerMessage) -> None:
        if self.before_kick is not None:
            await self.before_kick(message)
        self.sent.append(self.formatter.loads(message.message))

    def listen(self) -> AsyncGenerator[bytes | AckableMessage, None]:
        raise NotImplementedError

    @property
    def ids(self) -> list[str]:
        return [message.task_id for message in self.sent]


class MemorySource(ScheduleSource):
    """Schedules in a dict; `broken` makes reading fail, `calls` notes the hooks."""

    def __init__(self, *schedules: ScheduledTask) -> None:
        self.schedules = {schedule.schedule_id: schedule for schedule in schedules}
        self.broken = False
        self.calls: list[str] = []
        self.changed = anyio.Event()

    async def get_schedules(self) -> list[ScheduledTask]:
        if self.broken:
            raise ConnectionError("the store is away")
        return [schedule.model_copy() for schedule in self.schedules.values()]

    async def add_schedule(self, schedule: ScheduledTask) -> None:
        self.schedules[schedule.schedule_id] = schedule
        self._touch()

    async def wait_changed(self) -> None:
        await self.changed.wait()

    def _touch(self) -> None:
        changed, self.changed = self.changed, anyio.Event()
        changed.set()

    async def delete_schedule(self, schedule_id: str) -> None:
        self.schedules.pop(schedule_id, None)
        self._touch()

    async def set_paused(self, schedule_id: str, paused: bool) -> None:
        self.schedules[schedule_id].paused = paused
        self._touch()

    def pre_send(self, task: ScheduledTask) -> None:
        self.calls.append("pre_send")

    async def post_send(self, task: ScheduledTask) -> None:
        self.calls.append("post_send")
        if task.time is not None:
            await self.delete_schedule(task.schedule_id)
