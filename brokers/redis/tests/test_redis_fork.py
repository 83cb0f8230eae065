"""Sending before and after a fork."""

import os
import subprocess
import sys

import pytest
from support.redis_fixtures import StartRedis
from support.redis_server import RedisServer

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="nothing forks here")

SYNC = """
import os, signal, sys
from taskiq_core_brokers_redis import RedisBroker

broker = RedisBroker(sys.argv[1])

@broker.task("hello")
async def hello(who: str) -> None: ...

hello.kiq_sync("parent")
child = os.fork()
if child == 0:
    signal.alarm(10)
    hello.kiq_sync("child")
    hello.kiq_sync("child again")
    {end}
else:
    {parent}
    _, status = os.waitpid(child, 0)
    hello.kiq_sync("parent at last")
    sys.exit(os.waitstatus_to_exitcode(status))
"""

ASYNC = """
import asyncio, os, signal, sys
from taskiq_core_brokers_redis import RedisBroker

broker = RedisBroker(sys.argv[1])

@broker.task("hello")
async def hello(who: str) -> None: ...

async def in_child() -> None:
    await broker.startup()
    await hello.kiq("child")
    await hello.kiq("child again")
    await broker.shutdown()

async def main() -> int:
    await broker.startup()
    await hello.kiq("parent")
    child = os.fork()
    if child == 0:
        signal.alarm(10)
        asyncio.events._set_running_loop(None)
        asyncio.run(in_child())
        os._exit(0)
    {parent}
    _, status = await asyncio.to_thread(os.waitpid, child, 0)
    await hello.kiq("parent at last")
    await broker.shutdown()
    return os.waitstatus_to_exitcode(status)

sys.exit(asyncio.run(main()))
"""


def run(script: str, server: RedisServer) -> int:
    """Run it to its end and return how many messages there are."""
    command = [sys.executable, "-c", script, server.url]
    done = subprocess.run(command, timeout=30, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    with server.client() as client:
        # The parent's, the child's and this one: what the child does leaves the parent's alone.
        assert client.info("stats")["total_connections_received"] == 3
        return client.xlen("{taskiq}:q:default:5")


@pytest.mark.parametrize("parent", ["pass", "hello.kiq_sync('parent again')"])
@pytest.mark.parametrize("end", ["os._exit(0)", "sys.exit(0)"])
def test_a_forked_child_sends_too(start_redis: StartRedis, end: str, parent: str) -> None:
    assert run(SYNC.format(end=end, parent=parent), start_redis()) == (4 if parent == "pass" else 5)


@pytest.mark.parametrize("parent", ["pass", "await hello.kiq('parent again')"])
def test_a_child_that_was_forked_in_an_event_loop_sends_too(start_redis: StartRedis, parent: str) -> None:
    assert run(ASYNC.format(parent=parent), start_redis()) == (4 if parent == "pass" else 5)
