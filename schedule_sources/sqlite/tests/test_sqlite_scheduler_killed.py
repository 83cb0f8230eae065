"""A scheduler killed between its send and the deletion of the schedule: the next one deletes it, and sends nothing."""

import signal
from datetime import UTC, datetime
from pathlib import Path

import anyio
import pytest
from support.processes import running

from taskiq_core.schedule import ScheduledTask
from taskiq_core_schedule_sources_sqlite import SQLiteScheduleSource

pytestmark = pytest.mark.anyio

APP = """
import os, signal
from taskiq_core.broker import AsyncBroker
from taskiq_core.scheduler import TaskiqScheduler
from taskiq_core_result_backends_sqlite import SQLiteResultBackend
from taskiq_core_schedule_sources_sqlite import SQLiteScheduleSource

class Journal(AsyncBroker):
    async def kick(self, message):
        os.write(1, f"sent {message.task_id}\\n".encode())

    def listen(self):
        raise NotImplementedError

class Source(SQLiteScheduleSource):
    async def post_send(self, task):
        if "DIE" in os.environ:
            os.kill(os.getpid(), signal.SIGKILL)
        await super().post_send(task)
        os.write(1, b"told\\n")

broker = Journal(SQLiteResultBackend("s.db"))
scheduler = TaskiqScheduler(broker, [Source("s.db")], claim_ttl=1.0, refresh_interval=1.0)
"""


async def test_the_next_scheduler_deletes_what_was_sent(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(APP)
    source = SQLiteScheduleSource(tmp_path / "s.db")
    await source.startup()
    await source.add_schedule(ScheduledTask(task_name="once", time=datetime.now(UTC)))
    with running("taskiq", "scheduler", "app:scheduler", cwd=tmp_path, env={"DIE": "1"}) as killed:
        killed.wait_for_line("^sent")
        assert await anyio.to_thread.run_sync(killed.wait) == -signal.SIGKILL
    with running("taskiq", "scheduler", "app:scheduler", cwd=tmp_path) as other:
        other.wait_for_line("^told")
        assert other.stop() == 0, other.report
    assert not [line for line in other.lines if line.startswith("sent")]
    assert await source.get_schedules() == []
    await source.shutdown()
