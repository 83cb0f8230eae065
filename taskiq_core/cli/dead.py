"""`taskiq dead`: its commands. What they run is imported when it runs."""

from collections.abc import Callable
from typing import Any, TypeVar

import click

from taskiq_core.cli.options import CONTEXT, apply

F = TypeVar("F", bound=Callable[..., Any])


@click.group()
def dead() -> None:
    """Look at dead letters, retry them and delete them.

    Messages that no worker can run, and tasks that were rejected or have failed for good with `dead_letter=True`, are kept
    with the reason. APP is module:broker, importable from the working directory; without it TASKIQ_APP is used, or `app` in
    [tool.taskiq] of pyproject.toml.
    """


def _choosing(command: F) -> F:
    return apply(
        (
            click.option("--task", metavar="NAME", help="Those of this task."),
            click.option("--error", metavar="TEXT", help="Those with this in the error or the reason: ConnectionError."),
            click.option("--queue", "-q", metavar="QUEUE", help="Those of this queue."),
            click.option("--older-than", metavar="AGE", help="Those that died so long ago: 90s, 15m, 12h, 7d."),
        ),
        command,
    )


_everything = click.option("--all", "everything", is_flag=True, help="All dead letters.")
_ids = click.argument("app_and_ids", nargs=-1, metavar="[APP] [ID]...")


@dead.command("list", context_settings=CONTEXT)
@click.argument("app", nargs=-1, metavar="[APP]")
@_choosing
@click.option("--limit", type=click.IntRange(min=1), default=100, metavar="N", help="How many to show.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line, with arguments and traceback.")
def show_all(app: tuple[str, ...], limit: int, as_json: bool, **chosen: Any) -> None:
    """List dead letters, the newest first."""
    from taskiq_core.cli.dead_operations import run_list

    run_list(app, chosen, limit, as_json)


@dead.command(context_settings=CONTEXT)
@click.argument("app_and_id", nargs=-1, metavar="[APP] ID")
@click.option("--json", "as_json", is_flag=True, help="As one JSON object.")
def show(app_and_id: tuple[str, ...], as_json: bool) -> None:
    """Show one: what it was, its arguments, the error and its traceback."""
    from taskiq_core.cli.dead_operations import run_show

    run_show(app_and_id, as_json)


@dead.command(context_settings=CONTEXT)
@_ids
@_choosing
@_everything
@click.option("--args", "new_args", metavar="JSON", help="With one ID: other positional arguments, a JSON array.")
@click.option("--kwargs", "new_kwargs", metavar="JSON", help="With one ID: other keyword arguments, a JSON object.")
def retry(app_and_ids: tuple[str, ...], everything: bool, new_args: str | None, new_kwargs: str | None, **chosen: Any) -> None:
    """Put them back into their queues, to begin anew."""
    from taskiq_core.cli.dead_operations import run_retry

    run_retry(app_and_ids, chosen, everything, new_args, new_kwargs)


@dead.command(context_settings=CONTEXT)
@_ids
@_choosing
@_everything
def purge(app_and_ids: tuple[str, ...], everything: bool, **chosen: Any) -> None:
    """Delete them for ever."""
    from taskiq_core.cli.dead_operations import run_purge

    run_purge(app_and_ids, chosen, everything)
