"""`taskiq dead` and `taskiq tasks` as an operator meets them."""

import json
from collections.abc import Callable
from pathlib import Path

import anyio
import pytest
from support.processes import running

from taskiq_core import broker_from_url
from taskiq_core.worker import Worker

APP = """
from taskiq_core import broker_from_url

broker = broker_from_url("sqlite:///jobs.db")
"""

Command = Callable[..., tuple[int, list[str]]]


@pytest.fixture
def taskiq(tmp_path: Path) -> Command:
    """Runs `taskiq` where there is one dead letter, and returns its exit code and what it printed."""
    (tmp_path / "app.py").write_text(APP)
    anyio.run(_die, f"sqlite:///{tmp_path / 'jobs.db'}")

    def run(*arguments: str) -> tuple[int, list[str]]:
        with running("taskiq", *arguments, cwd=tmp_path, env={"TASKIQ_APP": "app:broker"}) as command:
            return command.wait(), command.lines

    return run


async def _die(url: str) -> None:
    broker = broker_from_url(url)

    @broker.task("odd", dead_letter=True)
    async def odd(text: str, number: float) -> None:
        msg = "\x1b[31mred\rhidden"
        raise ValueError(msg)

    async with broker:
        await odd.kiq("\ud800 é", float("nan"))
        worker = Worker(broker, burst=True)
        await worker.serve()


def test_nothing_in_a_letter_is_a_command_to_the_terminal(taskiq: Command) -> None:
    for command in (["list"], ["show", "1"]):
        code, lines = taskiq("dead", *command)
        text = "\n".join(lines)
        assert code == 0
        assert "\\x1b[31m" in text
        assert "\x1b" not in text
        assert "\r" not in text


def test_a_list_says_what_its_columns_are(taskiq: Command) -> None:
    _, (header, line) = taskiq("dead", "list")
    assert header.split("  ")[0] == "id"
    for column, value in (("queue", "default"), ("task", "odd"), ("error", "ValueError: ")):
        assert line[header.index(column) :].startswith(value)


def test_every_letter_is_json(taskiq: Command) -> None:
    code, lines = taskiq("dead", "list", "--json")
    (letter,) = map(json.loads, lines)
    assert (code, letter["args"], letter["task_name"]) == (0, ["\ud800 é", "nan"], "odd")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["dead", "show", "nosuch"], "There is no dead letter 'nosuch'. `taskiq dead list` shows what there is"),
        (["dead", "retry", "nosuch"], "There is no dead letter 'nosuch'."),
        (["dead", "retry", "nosuch", "--args", "[]"], "There is no dead letter 'nosuch'."),
        (["dead", "purge", "a", "b"], "2 of these dead letters are not there."),
        (["dead", "retry", "1", "--args", "[]", "--all"], "New arguments are for one dead letter: name its ID, and choose no"),
        (["dead", "retry", "1", "--args", "[]", "--task", "odd"], "New arguments are for one dead letter"),
        (["tasks", "cancel", "app:broker", ""], "That cannot be cancelled: a task id is a text of 1 to 255 characters"),
        (["tasks", "cancel", "x" * 300], "That cannot be cancelled: a task id is a text of 1 to 255 characters, not of 300."),
    ],
)
def test_what_cannot_work_is_said_in_a_sentence(taskiq: Command, arguments: list[str], sentence: str) -> None:
    code, lines = taskiq(*arguments)
    assert (code, len(lines)) == (2, 1)
    assert lines[0].startswith(f"Error: {sentence}")


def test_what_is_there_of_several_is_done(taskiq: Command) -> None:
    code, lines = taskiq("dead", "purge", "1", "nosuch")
    assert code == 2
    assert lines[0] == "Deleted 1"
    assert lines[1].startswith("Error: 1 of these dead letters are not there.")
    assert taskiq("dead", "list") == (0, ["No dead letters"])
