"""Several schedulers, one of them killed; their schedule source is all that they have in common."""

import time
from contextlib import ExitStack
from pathlib import Path

from support.processes import DEADLINE, RunningProcess, running

COUNT = 60

# The broker writes down what it is sent: a queue of some other kind, without any memory of its own.
APP = """
import os
from taskiq_core.broker import AsyncBroker
from taskiq_core.plugins import schedule_source_from_url
from taskiq_core.scheduler import TaskiqScheduler

class Journal(AsyncBroker):
    async def kick(self, message):
        os.write(1, f"sent {message.task_name} {message.task_id}\\n".encode())

    def listen(self):
        raise NotImplementedError

source = schedule_source_from_url(os.environ["URL"])
scheduler = TaskiqScheduler(Journal(), [source], claim_ttl=2.0, refresh_interval=1.0)
"""
ADD = """
import anyio, sys
from datetime import UTC, datetime, timedelta
from app import source
from taskiq_core.schedule import ScheduledTask

async def main():
    await source.startup()
    now = datetime.now(UTC)
    due = [now + timedelta(seconds=n / 10) for n in range(int(sys.argv[1]))]
    await source.add_schedules([ScheduledTask(task_name="once", time=moment) for moment in due])
    await source.add_schedule(ScheduledTask(task_name="often", interval=1, misfire="all", schedule_id="often"))
    await source.shutdown()

anyio.run(main)
"""


def assert_each_fire_is_made_once(url: str, folder: Path) -> None:
    """By three schedulers on the source at `url`, of which one is killed. Their files are written to `folder`."""
    (folder / "app.py").write_text(APP)
    (folder / "add.py").write_text(ADD)
    env = {"URL": url}
    with ExitStack() as stack:
        killed, *others = (
            stack.enter_context(running("taskiq", "scheduler", "app:scheduler", cwd=folder, env=env)) for _ in range(3)
        )
        for one in (killed, *others):
            one.wait_for_line("Scheduler of app:scheduler")
        with running("python", "add.py", str(COUNT), cwd=folder, env=env) as adding:
            assert adding.wait() == 0, adding.report
        killed.wait_for_line("^sent", count=3)
        killed.kill_group()
        wait_until_fired(killed, *others)
        for one in others:
            assert one.stop() == 0, one.report
            # The source is their coordinator, so any number of them may run.
            assert "Only one scheduler may run" not in one.output
            assert "Traceback" not in one.output, one.report
    by_others = [fire for one in others for fire in sent(one)]
    assert len(by_others) == len(set(by_others))
    by_killed = sent(killed)
    assert len(by_killed) == len(set(by_killed))
    # What it had sent and not yet marked as done, another one has sent again, under the same id.
    assert len(set(by_killed) & set(by_others)) <= 2
    assert len({fire for fire in by_others if fire.startswith("often ")}) >= 3


def sent(scheduler: RunningProcess) -> list[str]:
    """Name and id of each task."""
    return [line.removeprefix("sent ") for line in scheduler.lines if line.startswith("sent ")]


def wait_until_fired(*schedulers: RunningProcess) -> None:
    """Wait until every one-off schedule has been sent by one of them."""
    deadline = time.monotonic() + DEADLINE
    while len({fire for one in schedulers for fire in sent(one) if fire.startswith("once ")}) < COUNT:
        assert time.monotonic() < deadline, "\n".join(one.report for one in schedulers)
        time.sleep(0.05)
