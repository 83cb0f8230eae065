"""Options that several commands share, and how a parent process hands them to its children."""

from collections.abc import Callable, Collection, Iterable
from typing import Any, Final, TypeVar

import click
from click.core import ParameterSource

from taskiq_core.cli.logs import FORMATS, LEVELS
from taskiq_core.defaults import DEFAULT_CONCURRENCY, DEFAULT_GRACE

F = TypeVar("F", bound=Callable[..., Any])

LOOPS: Final = ("auto", "asyncio", "uvloop", "trio")
CONTEXT: Final[dict[str, Any]] = {"show_default": True}


def split_names(_context: click.Context, _parameter: click.Parameter, values: Iterable[str]) -> tuple[str, ...]:
    """`-q a -q b`, `-q a,b` and `a,b` in the environment mean the same; each name once, in the order given.

    An empty text is refused: an unset variable of a shell must not mean every queue.
    """
    given = tuple(values)
    names = tuple(dict.fromkeys(name for value in given for part in value.split(",") if (name := part.strip())))
    if given and not names:
        msg = "it names no queue"
        raise click.BadParameter(msg)
    return names


def apply(options: Iterable[Callable[[F], F]], command: F) -> F:
    """Decorate with `options` so that `--help` lists them in that order."""
    for option in reversed(tuple(options)):
        command = option(command)
    return command


def process_options(command: F) -> F:
    """What every long-running command takes: grace, event loop, logging."""
    return apply(
        (
            click.option(
                "--grace",
                type=click.FloatRange(min=0),
                default=DEFAULT_GRACE,
                metavar="SECONDS",
                help="How long running work may take to finish after the first SIGTERM or Ctrl-C.",
            ),
            click.option("--loop", type=click.Choice(LOOPS), default="auto", help="Event loop; auto: uvloop where installed."),
            click.option(
                "--log-level", type=click.Choice(LEVELS, case_sensitive=False), default="info", help="Lowest level shown."
            ),
            click.option("--log-format", type=click.Choice(FORMATS), default="text", help="json: one object per line."),
        ),
        command,
    )


def worker_options(command: F) -> F:
    """What one worker process takes."""
    command = process_options(command)
    return apply(
        (
            click.option(
                "--queue",
                "-q",
                "queue",
                multiple=True,
                callback=split_names,
                metavar="QUEUE",
                help="Queue to serve; repeat it or separate with commas.  [default: all queues of the tasks known to APP]",
            ),
            click.option(
                "--concurrency",
                "-c",
                type=click.IntRange(min=1),
                default=DEFAULT_CONCURRENCY,
                help="Tasks at a time in one process.",
            ),
            click.option(
                "--prefetch",
                type=click.IntRange(min=0),
                default=None,
                help="Messages held beyond the running ones.  [default: the worker's choice]",
            ),
            click.option(
                "--max-tasks-per-child",
                type=click.IntRange(min=1),
                default=None,
                metavar="N",
                help="Replace a process after N tasks.",
            ),
            click.option("--burst", is_flag=True, help="End when the queues are empty."),
            click.option("--no-relay", is_flag=True, help="Leave the outbox of APP to other workers or `taskiq relay`."),
        ),
        command,
    )


def given_arguments(context: click.Context, *, without: Collection[str] = ()) -> list[str]:
    """The options of this call that differ from their defaults, spelt as arguments for a child process."""
    arguments: list[str] = []
    for parameter in context.command.params:
        name = parameter.name or ""
        if not isinstance(parameter, click.Option) or name in without or not parameter.expose_value:
            continue
        if context.get_parameter_source(name) in (ParameterSource.DEFAULT, ParameterSource.DEFAULT_MAP):
            continue
        flag, value = parameter.opts[0], context.params[name]
        if parameter.is_flag:
            arguments += [flag] if value else []
        else:
            for item in value if parameter.multiple else (value,):
                arguments += [flag, str(item)]
    return arguments
