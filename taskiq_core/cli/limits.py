"""`taskiq limits`: its commands. What they run is imported when it runs."""

import click

from taskiq_core.cli.options import CONTEXT


@click.group()
def limits() -> None:
    """Look at the limits of tasks and change them for all workers that run.

    APP is module:broker, importable from the working directory; without it TASKIQ_APP is used, or `app` in [tool.taskiq] of
    pyproject.toml. A task with a colon in its name needs APP before it.
    """


@limits.command("list", context_settings=CONTEXT)
@click.argument("app_and_tasks", nargs=-1, metavar="[APP] [TASK]...")
def show(app_and_tasks: tuple[str, ...]) -> None:
    """Show limits as the code has them and as they are in force."""
    from taskiq_core.cli.limits_operations import run_list

    run_list(app_and_tasks)


@limits.command("set", context_settings=CONTEXT)
@click.argument("app_task_and_limit", nargs=-1, metavar="[APP] TASK LIMIT")
@click.option("--key", metavar="KEY", help="The limit with this key, as the code has it: {phone}.")
@click.option("--name", metavar="NAME", help="The limit of this name.")
def change(app_task_and_limit: tuple[str, ...], key: str | None, name: str | None) -> None:
    """Change a limit that a task has. LIMIT is 10 for 10 at once, 100/60s or 100/1m for 100 a minute.

    It holds until it is reset, also after restarts and deployments.
    """
    from taskiq_core.cli.limits_operations import run_set

    run_set(app_task_and_limit, key, name)


@limits.command(context_settings=CONTEXT)
@click.argument("app_and_tasks", nargs=-1, metavar="[APP] [TASK]...")
@click.option("--all", "everything", is_flag=True, help="The limits of all tasks.")
def reset(app_and_tasks: tuple[str, ...], everything: bool) -> None:
    """Go back to what the code says."""
    from taskiq_core.cli.limits_operations import run_reset

    run_reset(app_and_tasks, everything)
