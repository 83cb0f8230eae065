"""What `taskiq limits` does."""

from collections.abc import Awaitable, Callable, Sequence
from typing import NoReturn

import click

from taskiq_core.broker import AsyncBroker
from taskiq_core.cli.durations import UNITS, parse_duration
from taskiq_core.cli.operating import operate, require_shared
from taskiq_core.exceptions import ConfigurationError
from taskiq_core.limits import Concurrency, Limit, Rate

Work = Callable[[AsyncBroker, tuple[str, ...]], Awaitable[None]]


def _run(arguments: Sequence[str], work: Work, check: Callable[[tuple[str, ...]], str | None] = lambda _: None) -> NoReturn:
    def prepare(app: str, broker: AsyncBroker, others: tuple[str, ...]) -> Callable[[], Awaitable[None]]:
        wrong = check(others)
        if wrong is not None:
            raise ConfigurationError(reason=wrong.format(app=app))
        require_shared(app, broker)
        return lambda: work(broker, others)

    operate(arguments, prepare, "limits")


def run_list(arguments: Sequence[str]) -> NoReturn:
    """Print a table, and end the process."""

    async def work(broker: AsyncBroker, tasks: tuple[str, ...]) -> None:
        has_some = any(task.options.limits for task in broker.get_all_tasks().values())
        wanted = tasks or ((None,) if has_some else ())  # no shared state is needed to list none
        states = [state for task in wanted for state in await broker.limits.get(task)]
        rows = [("task", "limit", "in force")]
        rows += [(state.task_name, str(state.declared), str(state.current) if state.is_changed else "") for state in states]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        for row in rows:
            click.echo("  ".join(f"{cell:{width}}" for cell, width in zip(row, widths, strict=True)).rstrip())

    _run(arguments, work)


def run_set(arguments: Sequence[str], key: str | None, name: str | None) -> NoReturn:
    """Change one limit and say so, and end the process."""

    def check(others: tuple[str, ...]) -> str | None:
        return None if len(others) == 2 else "Name the task and its limit after the application: {app} TASK 100/1m"

    async def work(broker: AsyncBroker, others: tuple[str, ...]) -> None:
        state = await broker.limits.change(others[0], _parse(others[1], key, name))
        click.echo(f"{state.task_name}: {state.current}")

    _run(arguments, work, check)


def run_reset(arguments: Sequence[str], everything: bool) -> NoReturn:
    """Reset limits and say so, and end the process."""

    def check(tasks: tuple[str, ...]) -> str | None:
        return None if bool(tasks) != everything else "Name tasks after the application, or say --all: {app} TASK"

    async def work(broker: AsyncBroker, tasks: tuple[str, ...]) -> None:
        for task in tasks or (None,):
            await broker.limits.reset(task)
        click.echo(f"Reset {', '.join(tasks) or 'all limits'}")

    _run(arguments, work, check)


def _parse(text: str, key: str | None, name: str | None) -> Limit:
    number, slash, per = text.partition("/")
    try:
        count = int(number)
        if not slash:
            return Concurrency(count, key=key, name=name)
        return Rate(count, per=parse_duration(f"1{per}" if per in UNITS else per, "LIMIT"), key=key, name=name)
    except ValueError as error:
        reason = f"{text!r} is no limit ({error}). Write 10 for 10 at once, 100/60s or 100/1m for 100 a minute."
        raise ConfigurationError(reason=reason) from None
