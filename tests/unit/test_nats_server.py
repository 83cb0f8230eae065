"""The servers of the NATS tests keep what they promise."""

import ssl
from pathlib import Path

import pytest
from nats.errors import Error
from nats.errors import TimeoutError as NatsTimeoutError
from nats.js import JetStreamContext
from nats.js.api import StreamInfo
from nats.js.errors import NotFoundError
from support.certificates import make_certificates
from support.nats_fixtures import StartNats, nats_url, start_nats
from support.nats_servers import ask, nats_prefix, shared_nats

__all__ = ["nats_url", "start_nats"]


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


def test_a_certificate_secures_it(start_nats: StartNats, tmp_path: Path) -> None:
    server = start_nats(tls=(certificates := make_certificates(tmp_path)))
    trust = ssl.create_default_context(cafile=str(certificates.ca))
    assert ask(server.url, lambda jetstream: jetstream.account_info(), trust).streams == 0
    with pytest.raises(ssl.SSLCertVerificationError):
        ask(server.url, lambda jetstream: jetstream.account_info())


def _adding(name: str):
    return lambda jetstream: jetstream.add_stream(name=name, subjects=[name])


def _stream(url: str, name: str) -> StreamInfo:
    return ask(url, lambda jetstream: jetstream.stream_info(name))
