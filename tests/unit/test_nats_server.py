"""The servers of the NATS tests keep what they promise."""

import os
import select
import shutil
import signal
import ssl
import sys
from pathlib import Path

import pytest
from nats.errors import Error
from nats.errors import TimeoutError as NatsTimeoutError
from nats.js import JetStreamContext
from nats.js.api import StreamInfo
from nats.js.errors import NotFoundError
from support.nats_fixtures import StartNats, nats_url, start_nats
from support.nats_server import NatsServer
from support.nats_servers import ask, nats_prefix, shared_nats
from support.processes import DEADLINE, running
from support.redis_certificates import make_certificates
from support.server_programs import NATS

__all__ = ["nats_url", "start_nats"]

DYING = """
import signal
from support.nats_server import NatsServer
server = NatsServer().start()
print("pid", server.process.pid, server.folder, flush=True)
signal.pause()
"""


def test_the_shared_server_is_one(nats_url: str) -> None:
    assert shared_nats().url == nats_url == shared_nats().url
    assert shared_nats().ask(lambda jetstream: jetstream.account_info()).memory == 0


def test_the_streams_of_a_test_are_deleted(nats_url: str) -> None:
    with nats_prefix() as mine, nats_prefix() as other:
        for prefix in (mine, other):
            shared_nats().ask(_adding(f"A_{prefix}_B"))
        assert mine != other
        assert _stream(nats_url, f"A_{mine}_B").config.name == f"A_{mine}_B"
    for prefix in (mine, other):
        with pytest.raises(NotFoundError):
            _stream(nats_url, f"A_{prefix}_B")


@pytest.mark.parametrize("end", ["kill", "stop"])
def test_a_stream_outlives_the_process(start_nats: StartNats, end: str) -> None:
    server = start_nats()
    first = server.url, server.process.pid
    ask(server.url, _adding("kept"))
    ask(server.url, lambda jetstream: jetstream.publish("kept", b"yes"))
    getattr(server, end)()
    with pytest.raises(ConnectionRefusedError):
        ask(server.url, lambda jetstream: jetstream.account_info())
    server.restart()
    assert ask(server.url, lambda jetstream: jetstream.get_msg("kept", 1)).data == b"yes"
    assert (server.url, server.process.pid) == (first[0], server.process.pid) != first


def test_a_paused_server_answers_after_it_resumes(start_nats: StartNats) -> None:
    server = start_nats()

    async def patience(jetstream: JetStreamContext) -> None:
        server.pause()
        with pytest.raises(NatsTimeoutError):
            await jetstream._nc.request("$JS.API.INFO", timeout=0.5)
        server.resume()
        await jetstream.account_info()

    ask(server.url, patience)


def test_lines_of_configuration_win_over_the_defaults(start_nats: StartNats) -> None:
    server = start_nats("max_payload: 65536", "jetstream: disabled", user="a user", password='a "b\\ c/@')

    async def limit(jetstream: JetStreamContext) -> int:
        return jetstream._nc.max_payload

    assert ask(server.url, limit) == 65536
    with pytest.raises(Error, match=r"(?i)authorization"):
        ask(server.url.replace("a%20user", "stranger"), limit)


def test_a_line_that_is_wrong_is_shown() -> None:
    server = NatsServer("no_such_thing: 1")
    with pytest.raises(AssertionError, match="no_such_thing"), server:
        pass
    assert not server.folder.exists()


def test_a_certificate_secures_it(start_nats: StartNats, tmp_path: Path) -> None:
    server = start_nats(tls=(certificates := make_certificates(tmp_path)))
    trust = ssl.create_default_context(cafile=str(certificates.ca))
    assert ask(server.url, lambda jetstream: jetstream.account_info(), trust).streams == 0
    with pytest.raises(ssl.SSLCertVerificationError):
        ask(server.url, lambda jetstream: jetstream.account_info())


def test_a_port_that_is_taken_meanwhile_is_left_to_the_other(start_nats: StartNats) -> None:
    other = start_nats()
    server = NatsServer()
    server.port = other.port
    with server:
        assert server.port != other.port
        for one in (server, other):
            assert ask(one.url, lambda jetstream: jetstream.account_info()).streams == 0


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel ends it there")
def test_it_ends_with_the_process_that_started_it() -> None:
    NATS.path()
    tests = Path(__file__).parents[1]
    with running("python", "-c", DYING, env={"PYTHONPATH": str(tests)}) as tester:
        _, pid, folder = tester.wait_for_line("^pid").split()
        server = os.pidfd_open(int(pid))
        os.kill(tester.pid, signal.SIGKILL)
        ended, _, _ = select.select([server], [], [], DEADLINE)
        os.close(server)
    shutil.rmtree(folder)
    assert ended


def _adding(name: str):
    return lambda jetstream: jetstream.add_stream(name=name, subjects=[name])


def _stream(url: str, name: str) -> StreamInfo:
    return ask(url, lambda jetstream: jetstream.stream_info(name))
