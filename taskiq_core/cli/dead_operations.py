"""What `taskiq dead` does."""

import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, NoReturn, cast

import click

from taskiq_core.broker import AsyncBroker
from taskiq_core.cli.dead_letter_text import as_json_line, as_page, as_table
from taskiq_core.cli.durations import parse_duration
from taskiq_core.cli.operating import operate, require_shared
from taskiq_core.dead_letters import Choice, DeadLetters
from taskiq_core.exceptions import ConfigurationError

Work = Callable[[DeadLetters, tuple[str, ...]], Awaitable[None]]


def run_list(arguments: Sequence[str], chosen: Mapping[str, str | None], limit: int, as_json: bool) -> NoReturn:
    """Print one line for each."""

    async def work(dead: DeadLetters, others: tuple[str, ...]) -> None:
        _refuse(others)
        choice = _choice(chosen)
        letters = await dead.list(
            task=choice.task, error=choice.error, queue=choice.queue, older_than=choice.older_than, limit=limit
        )
        lines = (
            [as_json_line(letter) for letter in letters] if as_json else as_table(letters) if letters else ["No dead letters"]
        )
        for line in lines:
            click.echo(line)

    _run(arguments, work)


def run_show(arguments: Sequence[str], as_json: bool) -> NoReturn:
    """Print everything about one."""

    async def work(dead: DeadLetters, ids: tuple[str, ...]) -> None:
        if len(ids) != 1:
            raise ConfigurationError(reason="Name one dead letter by its ID, as `taskiq dead list` shows it.")
        letter = await dead.get(ids[0])
        if letter is None:
            raise _missing(ids, 1)
        click.echo(as_json_line(letter) if as_json else as_page(letter))

    _run(arguments, work)


def run_retry(
    arguments: Sequence[str],
    chosen: Mapping[str, str | None],
    everything: bool,
    new_args: str | None,
    new_kwargs: str | None,
) -> NoReturn:
    """Retry and say how many."""

    async def work(dead: DeadLetters, ids: tuple[str, ...]) -> None:
        if new_args is None and new_kwargs is None:
            _report("Retried", await dead.retry(*ids, choice=_which(ids, chosen, everything)), ids)
            return
        if len(ids) != 1 or everything or not _choice(chosen).is_everything:
            raise ConfigurationError(reason="New arguments are for one dead letter: name its ID, and choose no others.")
        args = None if new_args is None else cast("list[Any]", _json("--args", new_args, list))
        kwargs = None if new_kwargs is None else cast("dict[str, Any]", _json("--kwargs", new_kwargs, dict))
        _report("Retried", int(await dead.retry_with(ids[0], args=args, kwargs=kwargs)), ids)

    _run(arguments, work)


def run_purge(arguments: Sequence[str], chosen: Mapping[str, str | None], everything: bool) -> NoReturn:
    """Delete and say how many."""

    async def work(dead: DeadLetters, ids: tuple[str, ...]) -> None:
        _report("Deleted", await dead.purge(*ids, choice=_which(ids, chosen, everything)), ids)

    _run(arguments, work)


def _run(arguments: Sequence[str], work: Work) -> NoReturn:
    def prepare(app: str, broker: AsyncBroker, others: tuple[str, ...]) -> Callable[[], Awaitable[None]]:
        require_shared(app, broker)
        return lambda: work(broker.dead, others)

    operate(arguments, prepare, "dead")


def _report(what: str, count: int, ids: Sequence[str]) -> None:
    missing = len(set(ids)) - count
    if count or missing <= 0:
        click.echo(f"{what} {count}")
    if missing > 0:
        raise _missing(ids, missing)


def _missing(ids: Sequence[str], count: int) -> ConfigurationError:
    those = f"There is no dead letter {ids[0]!r}" if len(ids) == 1 else f"{count} of these dead letters are not there"
    return ConfigurationError(reason=f"{those}. `taskiq dead list` shows what there is; its IDs are not those of tasks.")


def _choice(chosen: Mapping[str, str | None]) -> Choice:
    age = chosen["older_than"]
    older_than = None if age is None else parse_duration(age, "--older-than")
    return Choice(chosen["task"], chosen["error"], chosen["queue"], older_than)


def _which(ids: Sequence[str], chosen: Mapping[str, str | None], everything: bool) -> Choice | None:
    choice = _choice(chosen)
    if [bool(ids), everything, not choice.is_everything].count(True) != 1:
        raise ConfigurationError(
            reason="Say which dead letters: by ID, or by --task, --error, --queue and --older-than, or --all of them."
        )
    return None if ids else choice


def _refuse(others: Sequence[str]) -> None:
    if others:
        raise ConfigurationError(reason=f"{others[0]!r} is too much: `taskiq dead show` shows one dead letter by its ID.")


def _json(option: str, text: str, kind: type) -> Any:
    try:
        value = json.loads(text)
    except ValueError as error:
        raise ConfigurationError(reason=f"{option} is not JSON: {error}") from error
    if not isinstance(value, kind):
        expected = "an array" if kind is list else "an object"
        raise ConfigurationError(reason=f"{option} must be {expected} in JSON, not {text!r}")
    return value
