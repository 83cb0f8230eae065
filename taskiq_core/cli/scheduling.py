"""The scheduler process."""

import logging
from collections.abc import Sequence
from typing import Any, Final, NoReturn

import anyio

from taskiq_core.broker import AsyncBroker
from taskiq_core.cli import logs
from taskiq_core.cli.app import describe, import_modules, load
from taskiq_core.cli.exit_codes import STOPPED
from taskiq_core.cli.reference import find_reference
from taskiq_core.cli.running import run_and_leave, run_engine, run_loop
from taskiq_core.exceptions import ConfigurationError
from taskiq_core.schedule_sources.label_based import LabelScheduleSource
from taskiq_core.scheduler import TaskiqScheduler
from taskiq_core.worker.backoff import Backoff

logger = logging.getLogger("taskiq.process")

_SHUTDOWN: Final = 1.0
"""Seconds for disconnecting."""


class SchedulerEngine:
    """A scheduler with its start and its end, that stops as a worker does."""

    def __init__(self, scheduler: TaskiqScheduler) -> None:
        self._scheduler = scheduler
        self._scope: anyio.CancelScope | None = None
        self._stopped = self._started = False

    async def run(self) -> None:
        """Return after a graceful stop. A broker or a source that cannot be reached is tried until it is, or a stop.

        :raises ConfigurationError: for one that can never be used so.
        """
        with anyio.CancelScope() as self._scope:
            if self._stopped:
                return
            try:
                backoff = Backoff(logger, "The scheduler has started")
                await backoff.start(self._scheduler.startup, self._shut_down, "The scheduler cannot start yet; trying again")
                self._started = True
                await self._scheduler.run()
            finally:
                await self._shut_down()

    async def _shut_down(self) -> None:
        with anyio.move_on_after(_SHUTDOWN, shield=True):
            await self._scheduler.shutdown()

    def stop(self, *, now: bool = False) -> None:
        """Stop, `now` without waiting for a send under way; may be called again."""
        self._stopped = True
        self._scheduler.stop()
        if self._scope is not None and (now or not self._started):
            self._scope.cancel()


def load_scheduler(reference: str) -> TaskiqScheduler:
    """The scheduler that `reference` names, or one for the schedules on the tasks of the broker that it names.

    :raises ConfigurationError: if it cannot be imported or is neither.
    """
    found = load(reference)
    if isinstance(found, AsyncBroker):
        return TaskiqScheduler(found, [LabelScheduleSource(found)])
    if isinstance(found, TaskiqScheduler):
        return found
    raise ConfigurationError(reason=f"{reference!r} is {describe(found)}, neither a scheduler nor a broker.")


def run_scheduler(arguments: Sequence[str], options: dict[str, Any]) -> NoReturn:
    """Run until a signal comes, and end the process."""
    run_and_leave(lambda: _run(arguments, options), "scheduler", lambda reason: logs.report(reason, options["log_format"]))


def _run(arguments: Sequence[str], options: dict[str, Any]) -> int:
    app, modules = find_reference(arguments)
    engine = SchedulerEngine(load_scheduler(app))
    import_modules(modules)
    logs.keep_loggers()
    logger.info("Scheduler of %s", app)

    async def main() -> None:
        await run_engine(engine, grace=options["grace"])

    run_loop(main, options["loop"])
    return STOPPED
