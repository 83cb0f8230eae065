"""What `taskiq migrate` does."""

import sys
from collections.abc import Sequence
from typing import NoReturn

import anyio
import click

from taskiq_core.abc.queue_admin import QueueAdmin
from taskiq_core.abc.schema_owner import SchemaOwner
from taskiq_core.broker import AsyncBroker
from taskiq_core.cli import logs
from taskiq_core.cli.exit_codes import CRASHED, INCOMPLETE, STOPPED
from taskiq_core.cli.operating import do_and_leave
from taskiq_core.cli.running import run_engine, run_loop
from taskiq_core.defaults import DEFAULT_GRACE
from taskiq_core.exceptions import ConfigurationError
from taskiq_core.migration import Migration, Moved
from taskiq_core.plugins import broker_from_url

_SHOWN = 20
"""Refused messages that are named."""
_MANY_DEAD = 1000


def run(source: str, target: str, queues: Sequence[str], resume: bool | None) -> NoReturn:
    """Move the queues, all of the source if none is named, and end the process."""

    def move() -> int:
        mover = _Mover(broker_from_url(source, results=False), broker_from_url(target, results=False), queues, resume)
        logs.keep_loggers()
        run_loop(lambda: run_engine(mover, grace=DEFAULT_GRACE), "auto")
        return mover.code

    do_and_leave(move, "migrate")


class _Mover:
    """Stopped gracefully it ends after a page; at once: wherever it is, and the queue stays paused if that is in doubt."""

    def __init__(self, source: AsyncBroker, target: AsyncBroker, queues: Sequence[str], resume: bool | None) -> None:
        self._source, self._target = source, target
        self._named, self._resume = queues, resume
        self._migration = Migration(source, target)
        self._scope: anyio.CancelScope | None = None
        self._stopped = False
        self.code = CRASHED

    def stop(self, *, now: bool = False) -> None:
        self._stopped = True
        self._migration.stop()
        if now and self._scope is not None:
            self._scope.cancel()

    async def run(self) -> None:
        await _refuse_emptiness(self._source)
        async with self._source, self._target:
            with anyio.CancelScope() as self._scope:
                async with self._migration:
                    await self._run()
        if self._scope.cancelled_caught:
            click.echo("Stopped. Nothing is lost. A queue may be paused: run the same command again, with --resume.", err=True)

    async def _run(self) -> None:
        queues = self._named or await self._migration.queues()
        await self._refuse_paused(queues)
        done: list[Moved] = []
        try:
            for queue in queues:
                waiting = await self._migration.waiting(queue)
                if self._stopped or not (waiting or self._resume is not None):
                    continue
                line = _Line(waiting)
                done.append(await self._migration.move(queue, resume=self._resume is not False, tell=line.show))
                line.clear()
        finally:
            if done:
                _report(done)
        if not done and not self._stopped:
            click.echo("Nothing waits in the source.")
        await self._conclude(queues, done)

    async def _refuse_paused(self, queues: Sequence[str]) -> None:
        paused = sorted(await self._migration.paused() & set(queues))
        if paused and self._resume is None:
            reason = (
                f"Paused already: {', '.join(paused)}. By somebody, or by a run of this command that was killed. "
                "Say what queues shall be in the end: --resume or --keep-paused."
            )
            raise ConfigurationError(reason=reason)

    async def _conclude(self, queues: Sequence[str], done: Sequence[Moved]) -> None:
        complete = not self._stopped and all(item.complete and not item.refused for item in done)
        self.code = STOPPED if complete else INCOMPLETE
        if self._stopped:
            click.echo("Stopped before all was moved: the same command goes on with the rest.", err=True)
        if self._source.admin is not None and (dead := await _count_dead(self._source.admin, queues)):
            click.echo(f"Dead letters stay in the source: {dead}{'' if dead < _MANY_DEAD else ' or more'}")


async def _refuse_emptiness(source: AsyncBroker) -> None:
    """Before the start, which would make what is missing."""
    if isinstance(source, SchemaOwner):
        version = await source.schema_version()
        if not version.found:
            raise ConfigurationError(reason=f"Nobody has ever used {version.place} as a broker: look at the URL after --from.")


async def _count_dead(admin: QueueAdmin, queues: Sequence[str]) -> int:
    return sum([len(await admin.dead_letters(queue=queue, limit=_MANY_DEAD)) for queue in queues])


def _report(done: Sequence[Moved]) -> None:
    width = max(len("queue"), *(len(item.queue) for item in done))
    click.echo(f"{'queue':{width}}    moved  refused  held")
    for item in done:
        click.echo(f"{item.queue:{width}}  {item.moved:7}  {len(item.refused):7}  {item.held:4}")
    refused = [pair for item in done for pair in item.refused.items()]
    for task_id, reason in refused[:_SHOWN]:
        click.echo(f"{task_id} stays in the source: {logs.redact(reason)}")
    if len(refused) > _SHOWN:
        click.echo(f"... and {len(refused) - _SHOWN} more")


class _Line:
    """What has been done of a queue, on one line of a terminal."""

    def __init__(self, total: int) -> None:
        self._total = total
        self._shown = sys.stderr.isatty()

    def show(self, moved: Moved) -> None:
        if self._shown:
            done = moved.moved + len(moved.refused)
            click.echo(f"\r\x1b[K{moved.queue}: {done} of {max(done, self._total)}", nl=False, err=True)

    def clear(self) -> None:
        if self._shown:
            click.echo("\r\x1b[K", nl=False, err=True)
