"""`taskiq tasks`: its commands. What they run is imported when it runs."""

import click

from taskiq_core.cli.options import CONTEXT


@click.group()
def tasks() -> None:
    """Cancel tasks.

    APP is module:broker, importable from the working directory; without it TASKIQ_APP is used, or `app` in
    [tool.taskiq] of pyproject.toml. A task id with a colon in it needs APP before it.
    """


@tasks.command(context_settings=CONTEXT)
@click.argument("app_and_ids", nargs=-1, metavar="[APP] ID...")
@click.option("--reason", metavar="TEXT", default="cancelled by an operator", help="For the error, the record and the log.")
def cancel(app_and_ids: tuple[str, ...], reason: str) -> None:
    """Cancel tasks, wherever they are, and say for each: removed, requested or finished.

    removed: it waited and will never start. requested: a worker has it and cancels it within about a second, or nobody
    knows it. finished: it has a result already.
    """
    from taskiq_core.cli.tasks_operations import run_cancel

    run_cancel(app_and_ids, reason)
