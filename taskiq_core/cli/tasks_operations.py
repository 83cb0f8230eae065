"""What `taskiq tasks` does."""

from collections.abc import Awaitable, Callable, Sequence
from typing import NoReturn

import click

from taskiq_core.broker import AsyncBroker
from taskiq_core.cli.operating import operate, require_shared
from taskiq_core.exceptions import ConfigurationError
from taskiq_core.ids import check_task_id


def run_cancel(arguments: Sequence[str], reason: str) -> NoReturn:
    """Cancel and print what became of each."""

    def prepare(app: str, broker: AsyncBroker, task_ids: tuple[str, ...]) -> Callable[[], Awaitable[None]]:
        if not task_ids:
            raise ConfigurationError(reason=f"No task given. Name one by its id, after the application: {app} ID")
        try:
            for task_id in task_ids:
                check_task_id(task_id)
        except ValueError as error:
            raise ConfigurationError(reason=f"That cannot be cancelled: {error}.") from error
        require_shared(app, broker)
        if broker.coordinator is not None and not broker.coordinator.cross_process:
            raise ConfigurationError(
                reason=f"{app} keeps its coordinator in one process: workers would not hear of a cancel. Give it a result "
                "backend that all processes share, or a coordinator with broker.with_coordinator(...)."
            )

        async def work() -> None:
            for task_id, outcome in (await broker.tasks.cancel(task_ids, reason=reason)).items():
                click.echo(f"{task_id}  {outcome}")

        return work

    operate(arguments, prepare, "task")
