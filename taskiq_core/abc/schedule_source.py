"""Where schedules live."""

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Sequence
from typing import Any, Union

import anyio

from taskiq_core.schedule import ScheduledTask


class ScheduleSource(ABC):
    """A place that schedules are read from. Subclasses need not call `super().__init__()`.

    A source that others share should also be a `ClaimStore`, which every `Coordinator` is, or the scheduler be given one, so
    that any number of schedulers make each fire once.
    """

    keeps_one_off: bool = False
    """True where one-off schedules stay listed after they have fired (because they stand in code), so that the scheduler
    has to remember for years that they did."""

    async def startup(self) -> None:
        """Connect. Idempotent."""

    async def shutdown(self) -> None:
        """Disconnect. Idempotent."""

    @abstractmethod
    async def get_schedules(self) -> list[ScheduledTask]:
        """All schedules, paused ones too. An error is logged and the last answer kept."""

    async def add_schedule(self, schedule: ScheduledTask) -> None:
        """Store a schedule; the same `schedule_id` replaces.

        :raises NotImplementedError: if the source is read-only.
        """
        msg = f"{type(self).__name__} is read-only: schedules cannot be added to it."
        raise NotImplementedError(msg)

    async def add_schedules(self, schedules: Sequence[ScheduledTask]) -> None:
        """Store a batch."""
        for schedule in schedules:
            await self.add_schedule(schedule)

    async def delete_schedule(self, schedule_id: str) -> None:
        """Forget a schedule; an unknown id is no error.

        :raises NotImplementedError: if the source is read-only.
        """
        msg = f"{type(self).__name__} is read-only: schedules cannot be deleted from it."
        raise NotImplementedError(msg)

    async def delete_schedules(self, schedule_ids: Sequence[str]) -> None:
        """Forget a batch."""
        for schedule_id in schedule_ids:
            await self.delete_schedule(schedule_id)

    async def set_paused(self, schedule_id: str, paused: bool) -> None:
        """Pause or resume a schedule that is kept.

        :raises NotImplementedError: if the source is read-only.
        :raises KeyError: if there is no such schedule.
        """
        msg = f"{type(self).__name__} is read-only: schedules cannot be paused."
        raise NotImplementedError(msg)

    async def wait_changed(self) -> None:
        """Return when schedules may have changed since the last `get_schedules`; override where the store can tell.

        Cancelling is safe. This default never returns: the scheduler reads again after its refresh interval anyhow.
        """
        await anyio.sleep_forever()

    def pre_send(self, task: ScheduledTask) -> Union[Awaitable[Any], None]:
        """Before a fire is sent; raise `ScheduledTaskCancelledError` to skip it quietly."""

    def post_send(self, task: ScheduledTask) -> Union[Awaitable[Any], None]:
        """After a fire was sent; a source that keeps one-off schedules forgets this one here."""
