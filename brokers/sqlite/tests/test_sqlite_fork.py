"""Sending before and after a fork."""

import os
import sqlite3
import subprocess
import sys

import pytest

SCRIPT = """
import os, signal, sys
from taskiq_core_brokers_sqlite import SQLiteBroker
from taskiq_core_result_backends_sqlite import SQLiteResultBackend

broker = SQLiteBroker("q.db", SQLiteResultBackend("q.db"))

@broker.task("hello")
async def hello(who: str) -> None: ...

hello.kiq_sync("parent")
child = os.fork()
if child == 0:
    signal.alarm(5)
    hello.kiq_sync("child")
    hello.kiq_sync("child again")
    {end}
else:
    {parent}
    _, status = os.waitpid(child, 0)
    sys.exit(os.waitstatus_to_exitcode(status))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="nothing forks here")
@pytest.mark.parametrize("parent", ["pass", "hello.kiq_sync('parent again')"])
@pytest.mark.parametrize("end", ["os._exit(0)", "sys.exit(0)"])
def test_a_forked_child_sends_too(tmp_path, end: str, parent: str) -> None:
    script = SCRIPT.format(end=end, parent=parent)
    done = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, timeout=30, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    with sqlite3.connect(tmp_path / "q.db") as conn:
        assert conn.execute("SELECT count(*) FROM taskiq_messages").fetchone()[0] == (3 if parent == "pass" else 4)
        assert conn.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
    conn.close()
