"""What `taskiq db` does."""

from collections.abc import Awaitable, Callable, Sequence
from typing import NoReturn

import click

from taskiq_core.abc.schema_owner import SchemaOwner, SchemaVersion
from taskiq_core.broker import AsyncBroker
from taskiq_core.cli import logs
from taskiq_core.cli.app import describe, load
from taskiq_core.cli.exit_codes import INCOMPLETE, STOPPED
from taskiq_core.cli.operating import do_and_leave
from taskiq_core.cli.reference import find_reference
from taskiq_core.cli.running import run_loop
from taskiq_core.exceptions import ConfigurationError
from taskiq_core.plugins import PluginKind, broker_from_url, installed, scheme_of
from taskiq_core.scheduler import TaskiqScheduler

Operation = Callable[[SchemaOwner], Awaitable[SchemaVersion]]


def run_upgrade(arguments: Sequence[str], url: str | None) -> NoReturn:
    """Upgrade and say so, and end the process."""

    def tell(found: SchemaVersion) -> int:
        done = f"upgraded from version {found.found} to {found.needed}" if found.found else f"made, version {found.needed}"
        click.echo(f"{found.place}: {f'version {found.needed} already' if found.is_current else done}")
        return STOPPED

    _run(arguments, url, lambda owner: owner.upgrade_schema(), tell)


def run_status(arguments: Sequence[str], url: str | None) -> NoReturn:
    """Print the versions, and end the process."""

    def tell(found: SchemaVersion) -> int:
        remedy = "upgrade this release" if found.found > found.needed else "run `taskiq db upgrade`"
        needs = "" if found.is_current else f", this release needs {found.needed}: {remedy}"
        click.echo(f"{found.place}: {f'version {found.found}' if found.found else 'no tables'}{needs}")
        return STOPPED if found.is_current else INCOMPLETE

    _run(arguments, url, lambda owner: owner.schema_version(), tell)


def _run(arguments: Sequence[str], url: str | None, operation: Operation, tell: Callable[[SchemaVersion], int]) -> NoReturn:
    do_and_leave(lambda: _operate(arguments, url, operation, tell), "db")


def _operate(arguments: Sequence[str], url: str | None, operation: Operation, tell: Callable[[SchemaVersion], int]) -> int:
    owners = _owners(arguments, url)
    logs.keep_loggers()
    if not owners:
        click.echo("There are no tables to look after.")
    codes = {STOPPED}

    async def main() -> None:
        told: set[str] = set()
        for owner in owners:
            found = await operation(owner)
            if found.place not in told:
                told.add(found.place)
                codes.add(tell(found))

    run_loop(main, "auto")
    return max(codes)


def _owners(arguments: Sequence[str], url: str | None) -> list[SchemaOwner]:
    if url is not None:
        if arguments:
            raise ConfigurationError(reason="Give either APP or --url, not both.")
        return _in_broker(broker_from_url(url, results=scheme_of(url) in installed(PluginKind.RESULT_BACKEND)))
    app, _ = find_reference(arguments)
    found = load(app)
    if isinstance(found, TaskiqScheduler):
        parts: tuple[object, ...] = (*_in_broker(found.broker), *found.sources, found.coordinator)
        return [part for part in parts if isinstance(part, SchemaOwner)]
    if isinstance(found, AsyncBroker):
        return _in_broker(found)
    raise ConfigurationError(reason=f"{app!r} is {describe(found)}, neither a broker nor a scheduler.")


def _in_broker(broker: AsyncBroker) -> list[SchemaOwner]:
    outbox = None if broker.outbox is None else broker.outbox.broker
    parts: tuple[object, ...] = (broker, broker.result_backend, broker.coordinator, outbox)
    return [part for part in parts if isinstance(part, SchemaOwner)]
