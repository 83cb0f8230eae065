"""Virtual time and what comes from outside: sockets, pipes, programs. Time waits for answers, and not for what is idle."""

import socket
import sys
import threading
from collections.abc import Generator
from contextlib import closing, contextmanager
from subprocess import DEVNULL

import anyio
import pytest

from taskiq_core import InMemoryBroker
from taskiq_core.testing import taskiq_test, virtual_time

pytestmark = pytest.mark.anyio


@contextmanager
def slow_echo() -> Generator[int]:
    """A server for one connection, each of whose answers takes real time; its port."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        connection, _ = listener.accept()
        with connection:
            while said := connection.recv(100):
                threading.Event().wait(0.2)
                connection.sendall(said)

    with closing(listener):
        server = threading.Thread(target=serve, daemon=True)
        server.start()
        yield listener.getsockname()[1]
        server.join(10)


async def test_a_task_that_talks_to_a_server_does_not_time_out() -> None:
    broker = InMemoryBroker()

    @broker.task(timeout=30)
    async def talk(port: int) -> bytes:
        async with await anyio.connect_tcp("127.0.0.1", port) as stream:
            await stream.send(b"hello")
            return await stream.receive()

    with slow_echo() as port:
        async with taskiq_test(broker) as t:
            assert await (await talk.kiq(port)) == b"hello"
            assert (t.now - t.start).total_seconds() < 30


@pytest.mark.parametrize("output", [True, False], ids=["pipes", "no pipes"])
async def test_a_task_that_runs_a_program_does_not_time_out(output: bool) -> None:
    broker = InMemoryBroker()

    @broker.task(timeout=30)
    async def run() -> int:
        code = "import threading; threading.Event().wait(0.2)"
        if output:
            return (await anyio.run_process([sys.executable, "-c", code])).returncode
        process = await anyio.open_process([sys.executable, "-c", code], stdin=DEVNULL, stdout=None, stderr=None)
        return await process.wait()

    async with taskiq_test(broker):
        assert await (await run.kiq()) == 0


async def test_an_idle_connection_does_not_hold_time_and_is_waited_for_when_it_is_asked_again() -> None:
    with slow_echo() as port, virtual_time(patience=0.5) as t:
        begin = t.now()
        async with await anyio.connect_tcp("127.0.0.1", port) as stream:
            for _ in range(100):
                await anyio.sleep(3600)
            assert (t.now() - begin).total_seconds() >= 360_000
            for _ in range(2):
                await stream.send(b"hello")
                with anyio.fail_after(3600):
                    assert await stream.receive() == b"hello"


async def test_silence_is_counted_over_timers_that_are_near() -> None:
    with slow_echo() as port, virtual_time(patience=0.2) as t:
        begin = t.now()
        async with await anyio.connect_tcp("127.0.0.1", port):
            for _ in range(3_600):  # six minutes at the real pace
                await anyio.sleep(0.1)
        assert (t.now() - begin).total_seconds() == pytest.approx(360)
