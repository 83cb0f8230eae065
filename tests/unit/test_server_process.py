"""What the servers of the tests promise, of whatever kind they are."""

import os
import select
import shutil
import signal
import socket
import sys
from pathlib import Path

import pytest
from support.nats_server import NatsServer
from support.postgres_server import PostgresServer
from support.processes import DEADLINE, children_of, running
from support.rabbitmq_server import RabbitServer
from support.redis_server import RedisServer
from support.server_process import ServerProcess
from support.tcp_ports import LOOPBACK

WRONG_LINES = {
    NatsServer: "no_such_thing: 1",
    PostgresServer: "no_such_thing = 1",
    RabbitServer: "no_such_thing = 1",
    RedisServer: "no_such_thing 1",
}
DYING = """
import signal
from {module} import {name}
server = {name}().start()
print("pid", server.process.pid, server.folder, flush=True)
signal.pause()
"""


@pytest.fixture(params=WRONG_LINES, ids=lambda kind: kind.__name__)
def kind(request: pytest.FixtureRequest) -> type[ServerProcess]:
    return request.param


def test_a_line_that_is_wrong_is_shown(kind: type[ServerProcess]) -> None:
    server = kind(WRONG_LINES[kind])
    with pytest.raises(AssertionError, match="no_such_thing"), server:
        pass
    assert not server.folder.exists()


@pytest.mark.parametrize("kind", [kind for kind in WRONG_LINES if kind is not RabbitServer])  # it takes 10 s to find out
def test_a_port_that_is_taken_meanwhile_is_left_to_the_other(kind: type[ServerProcess]) -> None:
    server = kind()
    with socket.create_server((LOOPBACK, 0)) as other:
        server.port = other.getsockname()[1]
        with server, socket.create_connection((LOOPBACK, server.port)):
            assert server.port != other.getsockname()[1]


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel ends it there")
def test_it_ends_with_the_process_that_started_it(kind: type[ServerProcess]) -> None:
    kind.program.path()
    code = DYING.format(module=kind.__module__, name=kind.__name__)
    with running("python", "-c", code, env={"PYTHONPATH": str(Path(__file__).parents[1])}) as tester:
        _, pid, folder = tester.wait_for_line("^pid", timeout=kind.patience).split()
        ends = [os.pidfd_open(one) for one in (int(pid), *children_of(int(pid)))]
        os.kill(tester.pid, signal.SIGKILL)
        for end in ends:
            ended, _, _ = select.select([end], [], [], DEADLINE)
            os.close(end)
            assert ended
    shutil.rmtree(folder)
