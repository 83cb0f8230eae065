"""The reference of the test kit says what the code says."""

import dataclasses
import inspect

import anyio
from test_reference_tables import names, section, tables

from taskiq_core import InMemoryBroker, pytest_plugin
from taskiq_core.testing import SentTask, taskiq_test


def test_keywords() -> None:
    (rows,) = tables(section("testing.md", "taskiq_test"))
    parameters = list(inspect.signature(taskiq_test).parameters.values())
    expected = {p.name: p.default for p in parameters if p.kind is p.KEYWORD_ONLY}
    assert {row[0].strip("`"): eval(row[1].strip("`")) for row in rows} == expected


def test_members() -> None:
    async def members() -> set[str]:
        async with taskiq_test(InMemoryBroker()) as t:
            return {name for name in dir(t) if not name.startswith("_")}

    (rows,) = tables(section("testing.md", "TaskiqTest"))
    assert set(names(rows)) == anyio.run(members)


def test_fields() -> None:
    (rows,) = tables(section("testing.md", "Sends"))
    assert names(rows) == [field.name for field in dataclasses.fields(SentTask)]


def test_fixtures() -> None:
    (rows,) = tables(section("testing.md", "pytest"))
    fixtures = {name for name, value in vars(pytest_plugin).items() if type(value).__name__ == "FixtureFunctionDefinition"}
    assert set(names(rows)) == fixtures
