"""The tables of the reference pages say what the code says."""

import dataclasses
import inspect
import re
from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import click
import msgpack
import pytest
from support import capability_table
from support.pages import ROOT

from taskiq_core import AcknowledgeType, AsyncKicker, InMemoryBroker, Retry, TaskiqMessage, exceptions, labels
from taskiq_core.cli import main
from taskiq_core.options import OPTION_NAMES
from taskiq_core.uniqueness import Unique
from taskiq_core.wire import pack
from taskiq_core.worker.verdicts import Ending, judge
from taskiq_core_brokers_nats import NatsBroker
from taskiq_core_brokers_postgres import PostgresBroker
from taskiq_core_brokers_postgres.schema import MIGRATIONS
from taskiq_core_brokers_rabbitmq import RabbitBroker
from taskiq_core_brokers_rabbitmq.location import CONNECTION_OPTIONS as RABBITMQ_CONNECTION
from taskiq_core_brokers_rabbitmq.location import DEFAULT_PREFIX as RABBITMQ_PREFIX
from taskiq_core_brokers_redis import RedisBroker
from taskiq_core_brokers_sqlite import SQLiteBroker
from taskiq_core_result_backends_nats import NatsResultBackend
from taskiq_core_result_backends_nats.shelves import AGES
from taskiq_core_result_backends_postgres import PostgresResultBackend
from taskiq_core_result_backends_redis import RedisResultBackend
from taskiq_core_result_backends_sqlite import SQLiteResultBackend
from taskiq_core_schedule_sources_nats import NatsScheduleSource
from taskiq_core_schedule_sources_postgres import PostgresScheduleSource
from taskiq_core_schedule_sources_redis import RedisScheduleSource

REFERENCE = ROOT / "docs" / "reference"
CODE = re.compile(r"`([^`]+)`")


def section(page: str, heading: str = "") -> str:
    """The text below a heading, up to the next one; without a heading, what stands before the first."""
    parts = re.split(r"^## (.+)$", (REFERENCE / page).read_text(), flags=re.MULTILINE)
    return dict(zip(["", *parts[1::2]], parts[0::2], strict=True))[heading]


def tables(text: str) -> list[list[list[str]]]:
    """The tables of a text as rows of cells, without their heads."""
    found = re.findall(r"^\|[^\n]*\n\|-[^\n]*\n((?:\|[^\n]*\n)+)", text, flags=re.MULTILINE)
    return [[[cell.strip() for cell in line[1:-1].split("|")] for line in rows.splitlines()] for rows in found]


def names(rows: list[list[str]]) -> list[str]:
    """The code in the first column."""
    return [CODE.findall(row[0])[0] for row in rows]


def test_task_options() -> None:
    (options,) = tables(section("task_options.md"))
    assert sorted(names(options)) == sorted(OPTION_NAMES)
    methods = [method for row in options for method in CODE.findall(row[2])]
    assert [method for method in methods if not hasattr(AsyncKicker, method)] == []


def test_fields_of_retry() -> None:
    (fields,) = tables(section("task_options.md", "Retry"))
    default = Retry()
    shown = {row[0].strip("`"): eval(row[1].strip("`")) for row in fields}
    assert shown == {item.name: getattr(default, item.name) for item in dataclasses.fields(default)}


def test_fields_of_unique() -> None:
    (fields,) = tables(section("task_options.md", "Unique"))
    default = Unique()
    shown = {row[0].strip("`"): eval(row[1].strip("`")) for row in fields}
    assert shown == {item.name: getattr(default, item.name) for item in dataclasses.fields(default)}


def test_labels() -> None:
    (rows,) = tables(section("labels.md"))
    defined = [value.name for value in vars(labels).values() if isinstance(value, labels.Label)]
    assert sorted(names(rows)) == sorted(defined)


def test_verdicts() -> None:
    rows, _ = tables(section("verdicts.md"))
    judged = [(ending, judge(ending)) for ending in Ending]
    assert rows == [
        [ending.value, "yes" if judgement.stores_result else "no", judgement.verdict.name] for ending, judgement in judged
    ]


def test_acknowledge_types() -> None:
    (rows,) = tables(section("verdicts.md", "When ACK is sent"))
    assert names(rows) == [member.value for member in AcknowledgeType]


@pytest.mark.parametrize("command", ["relay", "worker", "scheduler"])
def test_options_of_the_command_line(command: str) -> None:
    (rows,) = tables(section("command_line.md", f"taskiq {command} [APP] [MODULE]..."))
    assert isinstance(main, click.Group)
    found = main.get_command(click.Context(main), command)
    assert found is not None
    options = [item for item in found.params if isinstance(item, click.Option)]
    spelt = [sorted(item.opts) for item in options]
    assert [sorted(CODE.findall(row[0])) for row in rows] == spelt
    for row, option in zip(rows, options, strict=True):
        if option.default is not None and not option.is_flag and not option.multiple:
            assert row[1] == str(option.default), row[0]


def test_commands_for_queues() -> None:
    (rows,) = tables(section("command_line.md", "taskiq queues COMMAND [APP] [QUEUE]..."))
    assert isinstance(main, click.Group)
    found = main.get_command(click.Context(main), "queues")
    assert isinstance(found, click.Group)
    assert names(rows) == list(found.commands)
    assert [item for command in found.commands.values() for item in command.params if isinstance(item, click.Option)] == []


@pytest.mark.parametrize(
    ("name", "heading"),
    [("dead", "taskiq dead COMMAND [APP] [ID]..."), ("limits", "taskiq limits COMMAND [APP] ...")],
)
def test_commands_with_options(name: str, heading: str) -> None:
    commands, options = tables(section("command_line.md", heading))
    assert isinstance(main, click.Group)
    found = main.get_command(click.Context(main), name)
    assert isinstance(found, click.Group)
    assert names(commands) == list(found.commands)
    spelt = {opt for command in found.commands.values() for item in command.params for opt in item.opts}
    documented = {name for row in options for cell in row for name in CODE.findall(cell) if name.startswith("--")}
    assert documented == {name for name in spelt if name.startswith("--")}


def test_options_for_moving() -> None:
    (rows,) = tables(section("command_line.md", "taskiq migrate --from URL --to URL"))
    assert isinstance(main, click.Group)
    found = main.get_command(click.Context(main), "migrate")
    assert found is not None
    spelt = [[*item.opts, *item.secondary_opts] for item in found.params if isinstance(item, click.Option)]
    assert [sorted(CODE.findall(row[0])) for row in rows] == [sorted(item) for item in spelt]


def test_commands_for_tasks() -> None:
    commands, options = tables(section("command_line.md", "taskiq tasks COMMAND [APP] ID..."))
    assert isinstance(main, click.Group)
    found = main.get_command(click.Context(main), "tasks")
    assert isinstance(found, click.Group)
    assert names(commands) == list(found.commands)
    assert names(options) == [
        opt for item in found.commands["cancel"].params if isinstance(item, click.Option) for opt in item.opts
    ]


def test_capabilities() -> None:
    page = capability_table.PAGE.read_text()
    assert page == capability_table.up_to_date(page), capability_table.HOW
    (rows,) = tables(section("capabilities.md"))
    assert [row[0] for row in rows if not row[-2]] == [], "say what these mean"


def test_options_in_urls_of_sqlite() -> None:
    (rows,) = tables(section("sqlite.md"))
    owners = {"broker": SQLiteBroker, "result backend": SQLiteResultBackend}
    for kind, owner in owners.items():
        mine = {name: row for name, row in zip(names(rows), rows, strict=True) if row[1] in (kind, "both")}
        assert set(mine) == owner.url_options
        for name, parameter in inspect.signature(owner).parameters.items():
            if name in mine and parameter.default is not None:
                assert mine[name][2] == str(parameter.default)


def test_options_in_urls_of_redis() -> None:
    (rows,) = tables(section("redis.md", "Options in URLs"))
    defaults = {name: row[2] for name, row in zip(names(rows), rows, strict=True)}
    owners = {"broker": RedisBroker, "result backend": RedisResultBackend, "schedule source": RedisScheduleSource}
    for kind, owner in owners.items():
        mine = {name for name, row in zip(names(rows), rows, strict=True) if row[1] in (kind, "all")}
        assert mine == owner.url_options
        for name, parameter in inspect.signature(owner).parameters.items():
            if name in mine and parameter.default is not None:
                assert defaults[name] == str(parameter.default)


def test_forms_of_redis_urls() -> None:
    (rows,) = tables(section("redis.md"))
    urls = [url for row in rows for url in CODE.findall(" ".join(row)) if "://" in url]
    places = [RedisBroker.from_url(url).location.place for url in urls]
    assert [place for place in places if "password" in place] == []
    assert {url.partition("://")[0] for url in urls} == {"redis", "rediss", "redis+sentinel", "redis+cluster"}


def test_options_in_urls_of_postgres() -> None:
    (rows,) = tables(section("postgres.md", "Options in URLs"))
    defaults = {name: row[2] for name, row in zip(names(rows), rows, strict=True)}
    owners = {"broker": PostgresBroker, "result backend": PostgresResultBackend, "schedule source": PostgresScheduleSource}
    for kind, owner in owners.items():
        mine = {name for name, row in zip(names(rows), rows, strict=True) if row[1] == "all" or kind in row[1].split(", ")}
        assert mine == owner.url_options
        for name, parameter in inspect.signature(owner).parameters.items():
            if name in mine and parameter.default is not None:
                assert defaults[name] == str(parameter.default)


def test_tables_of_postgres() -> None:
    (rows,) = tables(section("postgres.md", "Tables"))
    made = re.findall(r"CREATE TABLE taskiq\.(\w+)", " ".join(statement for step in MIGRATIONS for statement in step))
    assert sorted(name for row in rows for name in CODE.findall(row[0])) == sorted(made)


def test_forms_of_postgres_urls() -> None:
    (rows,) = tables(section("postgres.md"))
    places = [PostgresBroker.from_url(url).location.place for row in rows for url in CODE.findall(row[0])]
    assert [place for place in places if "password" in place] == []


def test_options_in_urls_of_nats() -> None:
    (rows,) = tables(section("nats.md", "Options in URLs"))
    defaults = {name: row[2] for name, row in zip(names(rows), rows, strict=True)}
    owners = {"broker": NatsBroker, "result backend": NatsResultBackend, "schedule source": NatsScheduleSource}
    for kind, owner in owners.items():
        mine = {name for name, row in zip(names(rows), rows, strict=True) if row[1] in (kind, "all")}
        assert mine == owner.url_options
        for name, parameter in inspect.signature(owner).parameters.items():
            if name in mine and parameter.default is not None:
                assert defaults[name] == str(parameter.default)


def test_forms_of_nats_urls() -> None:
    (rows,) = tables(section("nats.md"))
    urls = [url for row in rows for url in CODE.findall(row[0])]
    places = [NatsBroker.from_url(url).location.place for url in urls]
    assert [place for place in places if "password" in place or "token" in place] == []


def test_buckets_of_nats() -> None:
    shelves, _ = tables(section("nats.md", "Streams and subjects"))
    assert [name.removeprefix("KV_taskiq_results_") for name in names(shelves)] == list(AGES)


def test_options_in_urls_of_rabbitmq() -> None:
    (rows,) = tables(section("rabbitmq.md", "Options in URLs"))
    assert {*names(rows)} == RabbitBroker.url_options | RABBITMQ_CONNECTION
    defaults = {name: row[1].strip("`") for name, row in zip(names(rows), rows, strict=True)}
    for name, parameter in inspect.signature(RabbitBroker).parameters.items():
        if name in defaults and parameter.default is not None:
            assert defaults[name] == str(parameter.default)
    assert defaults["prefix"] == RABBITMQ_PREFIX


def test_forms_of_rabbitmq_urls() -> None:
    (rows,) = tables(section("rabbitmq.md"))
    places = [RabbitBroker.from_url(url).location.place for row in rows for url in CODE.findall(row[0])]
    assert [place for place in places if "password" in place] == []


def tree(text: str) -> Iterator[tuple[str, str]]:
    """(class, base) of every line of the drawing."""
    above: list[str] = []
    for line in text.splitlines():
        drawn = re.match(r"([│├└─ ]*)(\w+)", line)
        assert drawn is not None, line
        depth = len(drawn[1]) // 4
        above = [*above[:depth], drawn[2]]
        yield drawn[2], above[-2] if depth else "Exception"


def test_tree_of_errors() -> None:
    found = re.search(r"```text\n(.*?)```", section("errors.md"), re.DOTALL)
    assert found is not None
    defined = {
        name: value.__mro__[1].__name__
        for name, value in vars(exceptions).items()
        if isinstance(value, type) and issubclass(value, exceptions.TaskiqError)
    }
    assert dict(tree(found[1])) == defined


def test_extension_types() -> None:
    (rows,) = tables(section("wire_format.md", "Types beyond msgpack's own"))
    examples: list[Any] = [
        UUID(int=1), datetime(2026, 1, 1), date(2026, 1, 1), time(1), timedelta(1), Decimal(1), {1}, frozenset({1}), 2**70, 1j,
    ]  # fmt: skip
    for row, value in zip(rows, examples, strict=True):
        code = msgpack.unpackb(pack(value)).code
        assert (row[0], CODE.findall(row[1])) == (str(code), [type(value).__name__])


def test_fields_of_a_message() -> None:
    (rows,) = tables(section("wire_format.md", "Messages"))
    body = InMemoryBroker().formatter.dumps(TaskiqMessage("1", "a:b")).message
    assert len(rows) == len(msgpack.unpackb(body))
