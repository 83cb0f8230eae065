"""`taskiq queues`: its commands. What they run is imported when it runs."""

import click

from taskiq_core.cli.options import CONTEXT


@click.group()
def queues() -> None:
    """Look into queues, pause them and empty them.

    APP is module:broker, importable from the working directory; without it TASKIQ_APP is used, or `app` in
    [tool.taskiq] of pyproject.toml. A queue with a colon in its name needs APP before it.
    """


_arguments = click.argument("app_and_queues", nargs=-1, metavar="[APP] QUEUE...")


@queues.command("list", context_settings=CONTEXT)
@click.argument("app_and_queues", nargs=-1, metavar="[APP] [QUEUE]...")
def show(app_and_queues: tuple[str, ...]) -> None:
    """Count messages: ready, delayed, and leased by workers.

    Without QUEUE: in `default`, in the queues that the tasks of APP name, and in all others that the broker has.
    """
    from taskiq_core.cli.queues_operations import run, show_depth

    run(app_and_queues, show_depth, needs_queues=False)


@queues.command(context_settings=CONTEXT)
@_arguments
def pause(app_and_queues: tuple[str, ...]) -> None:
    """Deliver nothing more until `resume`.

    Messages are accepted and kept. What workers hold already is finished. It holds for all workers, also after restarts.
    """
    from taskiq_core.cli.queues_operations import pause, run

    run(app_and_queues, pause)


@queues.command(context_settings=CONTEXT)
@_arguments
def resume(app_and_queues: tuple[str, ...]) -> None:
    """Deliver again."""
    from taskiq_core.cli.queues_operations import resume, run

    run(app_and_queues, resume)


@queues.command(context_settings=CONTEXT)
@_arguments
def purge(app_and_queues: tuple[str, ...]) -> None:
    """Delete all messages but those that workers hold."""
    from taskiq_core.cli.queues_operations import purge, run

    run(app_and_queues, purge)
