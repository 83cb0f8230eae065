"""Options, and their way from the supervisor to its children."""

from typing import Any

import click
import grimp
import pytest
from click.testing import CliRunner

from taskiq_core.cli import main
from taskiq_core.cli.options import given_arguments, worker_options

COMMANDS = (["worker"], ["scheduler"])


def parse(*arguments: str, env: dict[str, str] | None = None) -> tuple[dict[str, Any], list[str]]:
    seen: list[Any] = []

    @click.command()
    @click.option("--processes", type=int, default=1)
    @worker_options
    @click.pass_context
    def command(context: click.Context, **options: Any) -> None:
        seen.extend((options, given_arguments(context, without={"processes"})))

    result = CliRunner().invoke(command, arguments, env=env, auto_envvar_prefix="TASKIQ_WORKER")
    assert result.exit_code == 0, result.output
    return seen[0], seen[1]


@pytest.mark.parametrize("arguments", [["-q", "a", "-q", "b"], ["--queue", "a,b"], ["-q", " a, b,a ,"]])
def test_queues_are_repeated_or_separated_by_commas(arguments: list[str]) -> None:
    assert parse(*arguments)[0]["queue"] == ("a", "b")


def test_every_option_can_come_from_the_environment() -> None:
    options, _ = parse(env={"TASKIQ_WORKER_QUEUE": "a,b", "TASKIQ_WORKER_CONCURRENCY": "7", "TASKIQ_WORKER_BURST": "1"})
    assert (options["queue"], options["concurrency"], options["burst"]) == (("a", "b"), 7, True)


def test_the_command_line_wins_over_the_environment() -> None:
    assert parse("--concurrency", "3", env={"TASKIQ_WORKER_CONCURRENCY": "7"})[0]["concurrency"] == 3


def test_defaults_are_not_handed_on() -> None:
    assert parse("--processes", "4")[1] == []


def test_a_child_gets_the_same_options() -> None:
    given = ["-q", "a,b", "--concurrency", "5", "--grace", "1.5", "--burst", "--loop", "trio", "--log-format", "json"]
    options, handed_on = parse(*given, "--max-tasks-per-child", "9", "--log-level", "DEBUG")
    again, _ = parse(*handed_on)
    assert again == options
    assert options["max_tasks_per_child"] == 9


@pytest.mark.parametrize("command", COMMANDS)
def test_help(command: list[str]) -> None:
    result = CliRunner().invoke(main, [*command, "--help"])
    assert result.exit_code == 0
    assert "[APP] [MODULE]..." in result.output


@pytest.mark.parametrize(
    "arguments",
    [
        ["--queue", ""],
        ["--queue", ","],
        ["--concurrency", "0"],
        ["--processes", "0"],
        ["--loop", "gevent"],
        ["--log-format", "xml"],
        ["--grace", "-1"],
    ],
)
def test_a_wrong_value_is_a_usage_error(arguments: list[str]) -> None:
    result = CliRunner().invoke(main, ["worker", "app:broker", *arguments])
    assert result.exit_code == 2
    assert arguments[0] in result.output


def test_the_supervisor_imports_no_engine() -> None:
    graph = grimp.build_graph("taskiq_core", include_external_packages=True, cache_dir=None)
    imported = graph.find_upstream_modules("taskiq_core.cli.worker")
    heavy = {"anyio", "pydantic", "taskiq_core.broker", "taskiq_core.worker", "taskiq_core.cli.app", "taskiq_core.cli.running"}
    assert "taskiq_core.cli.supervisor" in imported
    assert not heavy & imported
