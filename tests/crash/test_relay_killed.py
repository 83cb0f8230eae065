"""Relays that die by SIGKILL just when the target has accepted a batch: nothing is lost, and nothing runs twice."""

import asyncio
import signal
from collections import Counter
from pathlib import Path

import anyio
import pytest
from support.outboxes import KINDS, Database, database
from support.processes import running

from taskiq_core import call
from taskiq_core.abc.queue_admin import QueueDepth
from taskiq_core_brokers_redis import RedisBroker

pytestmark = pytest.mark.crash

APP = """
import os, signal
from taskiq_core_brokers_postgres import PostgresBroker
from taskiq_core_brokers_redis import RedisBroker
from taskiq_core_brokers_sqlite import SQLiteBroker

class Target(RedisBroker):
    left = int(os.environ.get("DIES_AFTER", "-1"))

    async def kick_many(self, messages):
        await super().kick_many(messages)
        self.left -= 1
        if self.left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

broker = Target({url!r}, prefix={prefix!r}).with_outbox({outbox})

@broker.task(task_name="note")
async def note(number: int) -> None:
    with open("ledger", "a") as ledger:
        ledger.write(f"{{number}}\\n")
"""
COUNT = 5000
_PATIENCE = 30


async def send(home: Database, broker: RedisBroker) -> None:
    async with broker:
        async with home.transaction() as connection:
            with broker.within(connection):
                await broker.kicker("note").kiq_many([call(number) for number in range(COUNT)])


async def emptied(home: Database) -> None:
    async with home.broker:
        with anyio.fail_after(_PATIENCE):
            while await home.depth() != QueueDepth():
                await anyio.sleep(0.02)


@pytest.mark.parametrize("kind", KINDS)
def test_relays_killed_in_mid_move(kind: str, tmp_path: Path, redis_url: str, redis_prefix: str) -> None:
    with database(kind, tmp_path, lease=1.0) as home:
        (tmp_path / "app.py").write_text(APP.format(url=redis_url, prefix=redis_prefix, outbox=home.code))
        asyncio.run(send(home, RedisBroker(redis_url, prefix=redis_prefix).with_outbox(home.broker)))
        relay = ("taskiq", "relay", "app:broker")
        with running(*relay, cwd=tmp_path, env={"DIES_AFTER": "1"}) as first:
            assert first.wait(_PATIENCE) == -signal.SIGKILL, first.report
        with (
            running(*relay, cwd=tmp_path, env={"DIES_AFTER": "2"}) as second,
            running("taskiq", "worker", "app:broker", "-q", "none", cwd=tmp_path, env={"DIES_AFTER": "2"}) as worker,
        ):
            assert second.wait(_PATIENCE) == -signal.SIGKILL, second.report
            worker.wait_for_line("SIGKILL")
        with running(*relay, cwd=tmp_path) as last:
            asyncio.run(emptied(home))
            assert last.stop() == 0, last.report
        with running("taskiq", "worker", "app:broker", "--burst", "--no-relay", cwd=tmp_path) as worker:
            assert worker.wait(_PATIENCE) == 0, worker.report
    runs = Counter((tmp_path / "ledger").read_text().split())
    assert runs == Counter(str(number) for number in range(COUNT))
