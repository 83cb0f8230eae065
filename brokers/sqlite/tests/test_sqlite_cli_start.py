"""What `taskiq worker` and `taskiq scheduler` do about a file that cannot be used when they start."""

import os
import sqlite3
import sys
from pathlib import Path

import pytest
from support.processes import running

APP = """
from taskiq_core_brokers_sqlite import SQLiteBroker
broker = SQLiteBroker({path!r})

@broker.task("hello")
async def hello() -> None:
    print("hello", flush=True)

if __name__ == "__main__":
    hello.kiq_sync()
"""


def missing_directory(place: Path) -> str:
    return str(place / "none" / "q.db")


def no_database(place: Path) -> str:
    (place / "q.db").write_text("This is a letter to my aunt, and no database. " * 100)
    return str(place / "q.db")


def newer_schema(place: Path) -> str:
    with sqlite3.connect(place / "q.db") as conn:
        conn.execute("CREATE TABLE taskiq_schema (version INTEGER NOT NULL)")
        conn.execute("INSERT INTO taskiq_schema VALUES (99)")
    conn.close()
    return str(place / "q.db")


def no_permission(place: Path) -> str:
    if os.geteuid() == 0:
        pytest.skip("root may do everything")
    (place / "q.db").touch(0o000)
    return str(place / "q.db")


@pytest.mark.parametrize("command", ["worker", "scheduler"])
@pytest.mark.parametrize("trouble", [missing_directory, no_database, newer_schema, no_permission])
def test_a_file_that_can_never_be_used_is_one_sentence_and_exit_code_2(tmp_path, command, trouble):
    (tmp_path / "app.py").write_text(APP.format(path=trouble(tmp_path)))
    with running("taskiq", command, "app:broker", cwd=tmp_path, env={"TMPDIR": str(tmp_path)}) as process:
        assert process.wait() == 2, process.output
        assert "The database " in process.output
        assert "Traceback" not in process.output


def test_a_worker_waits_for_a_file_that_is_locked(tmp_path):
    (tmp_path / "app.py").write_text(APP.format(path="q.db"))
    lock = sqlite3.connect(tmp_path / "q.db", isolation_level=None)
    lock.execute("BEGIN EXCLUSIVE")
    with running("taskiq", "worker", "app:broker", cwd=tmp_path, env={"TMPDIR": str(tmp_path)}) as process:
        process.wait_for_line("locked")
        lock.execute("ROLLBACK")
        lock.close()
        with running(sys.executable, "app.py", cwd=tmp_path, env={"TMPDIR": str(tmp_path)}) as sender:
            assert sender.wait() == 0, sender.output
        process.wait_for_line("^hello$")
        assert "Traceback" not in process.output


def test_a_scheduler_waits_for_a_file_that_is_locked(tmp_path):
    (tmp_path / "app.py").write_text(APP.format(path="q.db"))
    lock = sqlite3.connect(tmp_path / "q.db", isolation_level=None)
    lock.execute("BEGIN EXCLUSIVE")
    with running("taskiq", "scheduler", "app:broker", cwd=tmp_path, env={"TMPDIR": str(tmp_path)}) as process:
        process.wait_for_line("locked")
        lock.execute("ROLLBACK")
        lock.close()
        process.wait_for_line("Only one scheduler may run")  # it has begun
        assert process.stop() == 0, process.output
        assert "Traceback" not in process.output


@pytest.mark.parametrize("command", ["worker", "scheduler"])
def test_who_waits_for_a_locked_file_stops_when_told(tmp_path, command):
    (tmp_path / "app.py").write_text(APP.format(path="q.db"))
    lock = sqlite3.connect(tmp_path / "q.db", isolation_level=None)
    lock.execute("BEGIN EXCLUSIVE")
    with running("taskiq", command, "app:broker", cwd=tmp_path, env={"TMPDIR": str(tmp_path)}) as process:
        process.wait_for_line("locked")
        assert process.stop() == 0, process.output
    lock.close()
