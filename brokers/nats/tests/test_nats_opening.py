"""From the first byte to the link: servers that behave oddly while we log in, and a cancel at any moment of it."""

import asyncio
import gc
import os
from asyncio import StreamReader, StreamWriter
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import uvloop
from nats.aio.client import Client
from support.certificates import make_certificates
from support.nats_fixtures import StartNats
from support.nats_operator import Operator
from support.tcp_ports import LOOPBACK

from taskiq_core_brokers_nats import locate
from taskiq_core_brokers_nats.errors import NatsError, UnusableNatsError
from taskiq_core_brokers_nats.opening import open_link

Talk = Callable[[StreamReader, StreamWriter], Awaitable[None]]

INFO = b'INFO {"server_id": "odd", "version": "2.9.0", "headers": true, "max_payload": 1048576}\r\n'


@pytest.fixture(params=[asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def runner(request: pytest.FixtureRequest) -> Generator[asyncio.Runner]:
    with asyncio.Runner(loop_factory=request.param) as runner:
        yield runner


@asynccontextmanager
async def talking(talk: Talk) -> AsyncGenerator[int]:
    """A server that says what a real one says only sometimes; yields its port."""

    async def serve(reader: StreamReader, writer: StreamWriter) -> None:
        try:
            await talk(reader, writer)
        finally:
            writer.close()

    server = await asyncio.start_server(serve, LOOPBACK, 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


async def logged_in(reader: StreamReader, writer: StreamWriter) -> None:
    writer.write(INFO)
    assert (await reader.readline()).startswith(b"CONNECT ")
    assert await reader.readline() == b"PING\r\n"


def test_what_comes_with_the_pong_is_not_lost(runner: asyncio.Runner) -> None:
    async def talk(reader: StreamReader, writer: StreamWriter) -> None:
        await logged_in(reader, writer)
        writer.write(b"PONG\r\n" + INFO + b"PING\r\nPI")
        assert (await reader.readline()) == b"PONG\r\n"
        assert (await reader.readline()).startswith(b"SUB _INBOX.")
        writer.write(b"NG\r\n")
        assert {await reader.readline(), await reader.readline()} == {b"PONG\r\n", b"PING\r\n"}
        writer.write(b"PONG\r\n")
        assert await reader.readline() == b"PING\r\n"
        writer.write(b"PONG\r\n")
        await reader.read()

    async def story() -> None:
        async with asyncio.timeout(10), talking(talk) as port:
            link = await open_link(locate(f"nats://{LOOPBACK}:{port}"), (LOOPBACK, port), 5.0)
            assert link.server == "odd"
            while len(asyncio.all_tasks()) > 2:  # this one and the server's: nats-py has none left
                await asyncio.sleep(0)
            await link.flush()
            link.close()

    runner.run(story())


def test_a_server_may_ask_and_tell_before_its_pong(runner: asyncio.Runner) -> None:
    async def talk(reader: StreamReader, writer: StreamWriter) -> None:
        await logged_in(reader, writer)
        writer.write(INFO + b"PING\r\n")
        assert (await reader.readline()) == b"PONG\r\n"
        writer.write(b"PONG\r\n")
        assert (await reader.readline()).startswith(b"SUB _INBOX.")
        assert (await reader.readline()) == b"PING\r\n"
        writer.write(b"PONG\r\n")
        await reader.read()

    async def story() -> None:
        async with talking(talk) as port:
            (await open_link(locate("nats://host"), (LOOPBACK, port), 5.0)).close()

    runner.run(story())


@pytest.mark.parametrize(
    ("greeting", "after_login", "says"),
    [
        (b"", None, "the server closed the connection"),
        (b"220 mail.example ESMTP\r\n", None, "does not speak like NATS"),
        (b"INFO {\r\n", None, "does not speak like NATS"),
        (INFO.replace(b"2.9.0", b"2.8.4"), None, "of version 2.8.4"),
        (b"-ERR 'maximum connections exceeded'\r\n", None, "maximum connections exceeded"),
        (INFO, b"-ERR 'maximum connections exceeded'\r\n", "maximum connections exceeded"),
        (INFO, b"-ERR 'Authorization Violation'\r\n", "refuses the user"),
        (INFO, b"-ERR 'Secure Connection - TLS Required'\r\n", "wants TLS: write"),
        (INFO, b"", "the server closed the connection"),
        (INFO, b"PONG\r\n", "closed"),
    ],
)
def test_a_log_in_that_fails(runner: asyncio.Runner, greeting: bytes, after_login: bytes | None, says: str) -> None:
    async def talk(reader: StreamReader, writer: StreamWriter) -> None:
        writer.write(greeting)
        if after_login is not None:
            assert b"hunter2" in await reader.readline()
            writer.write(after_login)

    async def story() -> None:
        async with talking(talk) as port:
            place = f"{LOOPBACK}:{port}"
            with pytest.raises(NatsError, match=says) as raised:
                link = await open_link(locate(f"nats://user:hunter2@{place}"), (LOOPBACK, port), 5.0)
                await link.flush()  # where it closed just behind its pong
            assert place in str(raised.value)
            assert "hunter2" not in str(raised.value)

    runner.run(story())


def test_a_driver_without_the_inner_names(runner: asyncio.Runner, nats_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It ends with a sentence, and with no connection."""
    connect = Client.connect

    async def forgetful(self: Client, *arguments: object, **options: object) -> None:
        await connect(self, *arguments, **options)  # type: ignore[arg-type]
        self._ping_interval_task.cancel()
        del self._ping_interval_task

    monkeypatch.setattr(Client, "connect", forgetful)

    async def story() -> None:
        location = locate(nats_url)
        with pytest.raises(UnusableNatsError, match=r"nats-py .* is unlike those"):
            await open_link(location, location.servers[0], 5.0)

    runner.run(story())


def _open_files() -> set[str]:
    """Sockets and their like, by what they are."""
    found = set[str]()
    for entry in Path("/proc/self/fd").iterdir():
        try:
            found.add(str(entry.readlink()))
        except OSError:  # of the listing itself
            continue
    return found


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="counts open files by /proc")  # noqa: PTH112
def test_cancelled_at_any_moment(runner: asyncio.Runner, start_nats: StartNats, tmp_path: Path) -> None:
    """No socket and no task is left, and the cancel is not lost, in a log-in with TLS and a signature."""
    certificates, operator = make_certificates(tmp_path), Operator()
    server = start_nats(*operator.server_config(), tls=certificates)
    file = operator.make_credentials(tmp_path / "user.creds")
    location = locate(f"{server.url}?tls_ca={certificates.ca}&credentials={file}")

    async def cancelled_after(turns: int) -> bool:
        opening = asyncio.ensure_future(open_link(location, location.servers[0], 10.0))
        for _ in range(turns):
            await asyncio.sleep(0)
        late = opening.done()
        if late:
            opening.result().close()
        else:
            assert opening.cancel()
            await asyncio.wait([opening])
            assert opening.cancelled()
        assert asyncio.all_tasks() == {asyncio.current_task()}
        return late

    async def story() -> None:
        assert await cancelled_after(100_000)  # whatever loop and library open for themselves, once
        before = _open_files()
        turns = 0
        while not await cancelled_after(turns):
            turns += 1 + turns // 10
        assert turns > 3
        async with asyncio.timeout(10):
            while _open_files() - before:  # a transport is closed a turn after it was told to
                await asyncio.sleep(0)
        gc.collect()  # which would warn of what was left open

    runner.run(story())
