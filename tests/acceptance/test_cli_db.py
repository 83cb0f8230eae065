"""`taskiq db` as an operator meets it, on SQLite's files."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from support.processes import running

from taskiq_core_brokers_sqlite.schema import SCHEMA_VERSION

APP = """
from taskiq_core import InMemoryBroker, broker_from_url
from taskiq_core.scheduler import TaskiqScheduler
from taskiq_core_brokers_sqlite import SQLiteBroker
from taskiq_core_result_backends_sqlite import SQLiteResultBackend
from taskiq_core_schedule_sources_sqlite import SQLiteScheduleSource

memory = InMemoryBroker()
broker = SQLiteBroker("jobs.db").with_result_backend(SQLiteResultBackend("results.db"))
scheduler = TaskiqScheduler(broker, [SQLiteScheduleSource("schedules.db"), SQLiteScheduleSource("jobs.db")])
outside = InMemoryBroker().with_outbox(SQLiteBroker("outbox.db"))
number = 3
"""

Db = Callable[..., tuple[int, list[str]]]


@pytest.fixture
def db(tmp_path: Path) -> Db:
    """Runs `taskiq db` and returns its exit code and what it printed."""
    (tmp_path / "app.py").write_text(APP)

    def run(*arguments: str, **env: str) -> tuple[int, list[str]]:
        with running("taskiq", "db", *arguments, cwd=tmp_path, env=env) as command:
            return command.wait(), command.lines

    return run


def says(tmp_path: Path, sentence: str, *names: str) -> list[str]:
    return [f"SQLite {tmp_path / name}: {sentence.format(SCHEMA_VERSION)}" for name in names]


def test_all_parts_of_an_application(db: Db, tmp_path: Path) -> None:
    code, lines = db("status", "app:scheduler")
    names = ("jobs.db", "results.db", "schedules.db")
    missing = "no tables, this release needs {}: run `taskiq db upgrade`"
    assert (code, lines) == (3, says(tmp_path, missing, *names))
    assert list(tmp_path.glob("*.db")) == []
    assert db("upgrade", "app:broker") == (0, says(tmp_path, "made, version {}", *names[:2]))
    code, lines = db("upgrade", "app:scheduler")
    assert lines == [
        *says(tmp_path, "version {} already", *names[:2]),
        *says(tmp_path, "made, version {}", names[2]),
    ]
    assert db("status", "app:scheduler") == (0, says(tmp_path, "version {}", *names))


def test_the_outbox_is_a_part(db: Db, tmp_path: Path) -> None:
    assert db("upgrade", "app:outside") == (0, says(tmp_path, "made, version {}", "outbox.db"))


def test_a_url_instead_of_an_application(db: Db, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'x.db'}?lease=5"
    assert db("upgrade", "--url", url) == (0, says(tmp_path, "made, version {}", "x.db"))
    assert db("status", TASKIQ_DB_STATUS_URL=url) == (0, says(tmp_path, "version {}", "x.db"))


def test_where_there_are_no_tables(db: Db) -> None:
    assert db("upgrade", "app:memory") == (0, ["There are no tables to look after."])


def test_tables_of_another_release(db: Db, tmp_path: Path) -> None:
    db("upgrade", "app:broker")
    with closing(sqlite3.connect(tmp_path / "jobs.db", isolation_level=None)) as conn:
        conn.execute("UPDATE taskiq_schema SET version = 999")
    code, lines = db("status", "app:broker")
    assert (code, lines[0]) == (3, says(tmp_path, "version 999, this release needs {}: upgrade this release", "jobs.db")[0])
    code, lines = db("upgrade", "app:broker")
    assert code == 2
    assert "has tables of version 999" in lines[0]


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (["app:broker", "--url", "memory://"], 2, "Give either APP or --url, not both."),
        (["app:number"], 2, "'app:number' is an int, neither a broker nor a scheduler."),
        (["--url", "nonsense"], 2, "Expected a URL"),
        (["--url", "sqlite:////no/such/place/x.db"], 2, "the directory /no/such/place does not exist"),
    ],
)
def test_what_cannot_be_done_is_said(db: Db, arguments: list[str], code: int, sentence: str) -> None:
    found, lines = db("upgrade", *arguments)
    assert (found, sentence in " ".join(lines), "Traceback" in " ".join(lines)) == (code, True, False), lines
