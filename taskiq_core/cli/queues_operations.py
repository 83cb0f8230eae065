"""What `taskiq queues` does."""

from collections.abc import Awaitable, Callable, Sequence
from typing import NoReturn

import click

from taskiq_core.abc.queue_admin import QueueAdmin
from taskiq_core.broker import AsyncBroker
from taskiq_core.cli.operating import operate, require_shared
from taskiq_core.cli.queue_names import point_out_strangers, queues_of
from taskiq_core.exceptions import ConfigurationError

Operation = Callable[[QueueAdmin, Sequence[str]], Awaitable[None]]


def run(arguments: Sequence[str], operation: Operation, *, needs_queues: bool = True) -> NoReturn:
    """Carry `operation` out on the queues that `arguments` name, and end the process."""

    def prepare(app: str, broker: AsyncBroker, queues: tuple[str, ...]) -> Callable[[], Awaitable[None]]:
        if needs_queues and not queues:
            raise ConfigurationError(reason=f"No queue given. Name one after the application: {app} QUEUE")
        admin = _admin_of(app, broker)
        point_out_strangers(app, broker, queues)

        async def work() -> None:
            names = queues or dict.fromkeys((*queues_of(broker), *sorted(await admin.queues() or await admin.paused())))
            await operation(admin, tuple(names))

        return work

    operate(arguments, prepare, "queue")


def _admin_of(app: str, broker: AsyncBroker) -> QueueAdmin:
    if broker.admin is None:
        raise ConfigurationError(reason=f"{app} is a {type(broker).__name__}, which cannot look into its queues.")
    require_shared(app, broker)
    return broker.admin


async def show_depth(admin: QueueAdmin, queues: Sequence[str]) -> None:
    """Print a table."""
    paused, width = await admin.paused(), max(map(len, ("queue", *queues)))
    click.echo(f"{'queue':{width}}  ready  delayed  leased")
    for queue in queues:
        depth = await admin.depth(queue)
        state = "  paused" if queue in paused else ""
        click.echo(f"{queue:{width}}  {depth.ready:5}  {depth.delayed:7}  {depth.leased:6}{state}")


async def pause(admin: QueueAdmin, queues: Sequence[str]) -> None:
    """Pause and say so."""
    for queue in queues:
        await admin.pause(queue)
        click.echo(f"Paused {queue}")


async def resume(admin: QueueAdmin, queues: Sequence[str]) -> None:
    """Resume and say so."""
    for queue in queues:
        await admin.resume(queue)
        click.echo(f"Resumed {queue}")


async def purge(admin: QueueAdmin, queues: Sequence[str]) -> None:
    """Purge and say how many were deleted."""
    for queue in queues:
        count = await admin.purge(queue)
        click.echo(f"Purged {queue}: {count} deleted")
