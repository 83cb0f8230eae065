"""`taskiq relay`: its options. What it runs is imported when it runs."""

from typing import Any

import click

from taskiq_core.cli import logs
from taskiq_core.cli.options import CONTEXT, process_options


@click.command(context_settings=CONTEXT)
@click.argument("app_and_modules", nargs=-1, metavar="[APP] [MODULE]...")
@click.option("--burst", is_flag=True, help="End when the outbox is empty.")
@process_options
def relay(app_and_modules: tuple[str, ...], **options: Any) -> None:
    """Move messages from the outbox of a broker to the broker.

    Workers do that too, unless they are started with --no-relay: for those that cannot reach the database of the outbox, run
    this where it can be reached. APP is module:broker; without it TASKIQ_APP is used, or `app` in [tool.taskiq] of
    pyproject.toml.

    Any number of relays may run, beside workers too: they share the work.
    """
    from taskiq_core.cli.relaying import run_relay

    logs.configure(options["log_level"], options["log_format"], "relay")
    run_relay(app_and_modules, options)
