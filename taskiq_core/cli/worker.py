"""`taskiq worker`: the supervisor's half. Nothing of the application, nor of the engine, is imported here."""

import logging
import sys
from typing import Any

import click

from taskiq_core.cli import logs
from taskiq_core.cli.options import CONTEXT, given_arguments, worker_options
from taskiq_core.cli.reference import find_reference
from taskiq_core.cli.run_directory import RunDirectory
from taskiq_core.cli.supervisor import Supervisor
from taskiq_core.exceptions import ConfigurationError

logger = logging.getLogger("taskiq.supervisor")


@click.command(context_settings=CONTEXT)
@click.argument("app_and_modules", nargs=-1, metavar="[APP] [MODULE]...")
@click.option("--processes", "-p", type=click.IntRange(min=1), default=1, help="Worker processes.")
@worker_options
@click.pass_context
def worker(context: click.Context, /, app_and_modules: tuple[str, ...], processes: int, **options: Any) -> None:
    """Run tasks.

    APP is module:broker, importable from the working directory; without it TASKIQ_APP is used, or `app` in
    [tool.taskiq] of pyproject.toml. MODULEs are imported too, so that their tasks are known.

    Every option can be set in the environment, for instance TASKIQ_WORKER_CONCURRENCY=50.

    SIGTERM or Ctrl-C: running tasks get the grace time to finish; again: they are cancelled and given back; a third time:
    the processes are killed. SIGHUP replaces the processes one after the other.
    """
    log_format = options["log_format"]
    logs.configure(options["log_level"], log_format, "supervisor")
    try:
        app, modules = find_reference(app_and_modules)
    except ConfigurationError as error:
        logs.report(str(error), log_format)
        context.exit(2)
    command = [sys.executable, "-m", "taskiq_core.cli.child", app, *modules, *given_arguments(context, without={"processes"})]
    supervisor = Supervisor(
        command, processes=processes, grace=options["grace"], burst=options["burst"], directory=_run_directory(app)
    )
    code = supervisor.run()
    if supervisor.failure:
        logs.report(supervisor.failure, log_format)
    logs.let_go_of_streams()
    context.exit(code)


def _run_directory(app: str) -> RunDirectory | None:
    try:
        return RunDirectory.create(app)
    except OSError as error:
        logger.warning("No flight recorder: %s. Tasks of a killed process come back when their leases end.", error)
        return None
