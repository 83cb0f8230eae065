"""`taskiq migrate`: its options. What it runs is imported when it runs."""

import click

from taskiq_core.cli.options import CONTEXT, split_names


@click.command(context_settings=CONTEXT)
@click.option(
    "--from", "source", envvar="TASKIQ_MIGRATE_FROM", required=True, metavar="URL", help="The broker whose messages wait."
)
@click.option("--to", "target", envvar="TASKIQ_MIGRATE_TO", required=True, metavar="URL", help="The broker that gets them.")
@click.option("--queue", "-q", multiple=True, callback=split_names, metavar="QUEUE", help="Queue to move; all without it.")
@click.option("--resume", is_flag=True, help="Resume queues in the end, also those that were paused before.")
@click.option("--keep-paused", is_flag=True, help="Leave all queues paused that are moved.")
def migrate(source: str, target: str, queue: tuple[str, ...], resume: bool, keep_paused: bool) -> None:
    """Move what waits from one broker to another.

    Messages keep their ids, bodies, queues, priorities, and what is left of their delays. What workers hold stays with them;
    dead letters stay too. A queue is paused on both sides while it is moved; workers may run on both.

    Ctrl-C stops after the messages that are under way. However it ends, the same command goes on where it ended. URLs with
    passwords are best given by TASKIQ_MIGRATE_FROM and TASKIQ_MIGRATE_TO, which nobody else sees.
    """
    from taskiq_core.cli.migrate_operations import run

    if resume and keep_paused:
        msg = "Say what queues shall be in the end, --resume or --keep-paused, and not both."
        raise click.UsageError(msg)
    run(source, target, queue, resume if resume or keep_paused else None)
