"""`taskiq scheduler`: its options. What it runs is imported when it runs."""

from typing import Any

import click

from taskiq_core.cli import logs
from taskiq_core.cli.options import CONTEXT, process_options


@click.command(context_settings=CONTEXT)
@click.argument("app_and_modules", nargs=-1, metavar="[APP] [MODULE]...")
@process_options
def scheduler(app_and_modules: tuple[str, ...], **options: Any) -> None:
    """Send tasks when their schedules say so.

    APP is module:scheduler, or module:broker for the schedules that stand on the broker's tasks; without it TASKIQ_APP is
    used, or `app` in [tool.taskiq] of pyproject.toml. MODULEs are imported too, so that their tasks are known.

    Every option can be set in the environment, for instance TASKIQ_SCHEDULER_LOG_FORMAT=json. Several schedulers of one
    application may run: each due time is sent once.
    """
    from taskiq_core.cli.scheduling import run_scheduler

    logs.configure(options["log_level"], options["log_format"], "scheduler")
    run_scheduler(app_and_modules, options)
