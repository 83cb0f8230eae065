"""`taskiq limits` as an operator meets it."""

from collections.abc import Callable
from pathlib import Path

import pytest
from support.processes import running

APP = """
from taskiq_core import Concurrency, InMemoryBroker, Rate, broker_from_url

broker = broker_from_url("sqlite:///jobs.db")
memory = InMemoryBroker()
free = broker_from_url("sqlite:///jobs.db", results=False)

@broker.task("mail", limits=[Concurrency(5), Rate(100, per=60), Rate(2, key="{to}"), Rate(9, per=5, name="smtp")])
async def mail(to: str) -> None: ...
"""

Limits = Callable[..., tuple[int, list[str]]]


@pytest.fixture
def limits(tmp_path: Path) -> Limits:
    """Runs `taskiq limits` and returns its exit code and what it printed."""
    (tmp_path / "app.py").write_text(APP)

    def run(*arguments: str, app: str = "app:broker") -> tuple[int, list[str]]:
        with running("taskiq", "limits", *arguments, cwd=tmp_path, env={"TASKIQ_APP": app}) as command:
            return command.wait(), command.lines

    return run


def test_a_list_of_no_limits_needs_no_shared_state(limits: Limits) -> None:
    assert limits("list", app="app:free") == (0, ["task  limit  in force"])


def test_set_list_reset(limits: Limits) -> None:
    assert limits("set", "mail", "20") == (0, ["mail: Concurrency(20)"])
    assert limits("set", "app:broker", "mail", "50/1m", app="no:thing") == (0, ["mail: Rate(50, per=60)"])
    assert limits("set", "mail", "3/s", "--key", "{to}") == (0, ["mail: Rate(3, key='{to}')"])
    assert limits("list") == (
        0,
        [
            "task  limit                        in force",
            "mail  Concurrency(5)               Concurrency(20)",
            "mail  Rate(100, per=60)            Rate(50, per=60)",
            "mail  Rate(2, key='{to}')          Rate(3, key='{to}')",
            "mail  Rate(9, per=5, name='smtp')",
        ],
    )
    assert limits("reset", "mail") == (0, ["Reset mail"])
    assert limits("reset", "--all") == (0, ["Reset all limits"])
    assert not [line for line in limits("list", "mail")[1][1:] if line != line.rstrip() or line.endswith("  ")]


@pytest.mark.parametrize(
    ("app", "arguments", "sentence"),
    [
        ("app:broker", ["set", "mail"], "Name the task and its limit after the application: app:broker TASK 100/1m"),
        (
            "app:broker",
            ["set", "mail", "0"],
            "'0' is no limit (Concurrency(0): a limit is a whole number from 1 to 1000000000).",
        ),
        ("app:broker", ["set", "mail", "2/5000d"], "'2/5000d' is no limit (Rate(per=4.32e+08): a window is ten years at most"),
        ("app:broker", ["set", "mail", "3/fortnight"], "LIMIT 'fortnight' is no time."),
        (
            "app:broker",
            ["set", "mail", "3/s", "--key", "{who}"],
            "Which limit of task 'mail' should become Rate(3, ",
        ),
        ("app:broker", ["list", "post"], "This broker has no task 'post', so it has no limits of it."),
        ("app:broker", ["reset"], "Name tasks after the application, or say --all: app:broker TASK"),
        ("app:memory", ["list"], "app:memory keeps its messages in one process: from another one there is nothing to see."),
    ],
)
def test_what_cannot_work_is_said_in_a_sentence(limits: Limits, app: str, arguments: list[str], sentence: str) -> None:
    code, lines = limits(*arguments, app=app)
    assert (code, len(lines)) == (2, 1)
    assert lines[0].startswith(f"Error: {sentence}")
