"""`taskiq db`: its commands. What they run is imported when it runs."""

from collections.abc import Callable
from typing import Any, TypeVar

import click

from taskiq_core.cli.options import CONTEXT, apply

F = TypeVar("F", bound=Callable[..., Any])


@click.group()
def db() -> None:
    """Look at the tables of an application's broker, result backend and schedule sources, and upgrade them.

    APP is module:broker or module:scheduler, importable from the working directory; without it TASKIQ_APP is used, or `app` in
    [tool.taskiq] of pyproject.toml. Nothing of APP is started.
    """


def _place(command: F) -> F:
    return apply(
        (
            click.argument("app", nargs=-1, metavar="[APP]"),
            click.option("--url", metavar="URL", help="That of a broker, instead of APP; its results are there too."),
        ),
        command,
    )


@db.command(context_settings=CONTEXT)
@_place
def upgrade(app: tuple[str, ...], url: str | None) -> None:
    """Make the tables or bring them to the version of this release, and say what was done.

    Running it twice does nothing more, and any number may run at once. URLs with passwords are best given by
    TASKIQ_DB_UPGRADE_URL, which nobody else sees.
    """
    from taskiq_core.cli.db_operations import run_upgrade

    run_upgrade(app, url)


@db.command(context_settings=CONTEXT)
@_place
def status(app: tuple[str, ...], url: str | None) -> None:
    """Show the versions of the tables. The exit code is 3 if one is not that of this release."""
    from taskiq_core.cli.db_operations import run_status

    run_status(app, url)
