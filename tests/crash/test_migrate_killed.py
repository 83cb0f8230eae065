"""`taskiq migrate` between real servers, with workers on both: killed or stopped at any moment, each task runs once.

The brokers stand in a ring, so that each is a source and a target at the moment that matters; RabbitMQ is a source only. What
comes at random, or ends by a signal, is the command's own, and needs fewer pairs.
"""

import os
import random
import signal
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TypeVar

import anyio
import pytest
from support import nats_servers, postgres_servers, redis_servers
from support.processes import RunningProcess, running
from support.rabbitmq_server import RabbitServer
from support.shared_server import fresh_prefix, shared_url

from taskiq_core import AsyncBroker, broker_from_url, call
from taskiq_core.abc.queue_admin import QueueDepth

APP = """
import os, time
from taskiq_core import broker_from_url

broker = broker_from_url(os.environ["APP_BROKER"], results=False)
LEDGER = os.open("ledger", os.O_WRONLY | os.O_APPEND | os.O_CREAT)

@broker.task("note")
async def note(number: int) -> None:
    os.write(LEDGER, f"{number}\\n".encode())
    time.sleep(0.001)
"""
KILLED_BETWEEN = """
import os, signal, sys
from taskiq_core.cli import main
from taskiq_core.migration import Migration

send = Migration._send

async def send_and_die(self, *page):
    await send(self, *page)
    os.kill(os.getpid(), signal.SIGKILL)

Migration._send = send_and_die
main(["migrate", "--from", os.environ["SOURCE"], "--to", os.environ["TARGET"], "--queue", "default"])
"""
RING = (("sqlite", "redis"), ("redis", "postgres"), ("postgres", "nats"), ("nats", "sqlite"))
NOTHING = QueueDepth()
T = TypeVar("T")


class Place:
    """Two brokers, an application that runs on either, and the ledger of what it ran."""

    def __init__(self, path: Path, source: str, target: str) -> None:
        self.path, self.source, self.target = path, source, target
        (path / "app.py").write_text(APP)

    @contextmanager
    def worker(self, url: str) -> Iterator[RunningProcess]:
        arguments = ("--concurrency", "4", "--prefetch", "10")
        with running("taskiq", "worker", "app:broker", *arguments, cwd=self.path, env={"APP_BROKER": url}) as worker:
            yield worker
            assert worker.stop() == 0, worker.report

    @contextmanager
    def migration(self, *arguments: str) -> Iterator[RunningProcess]:
        places = ("--from", self.source, "--to", self.target, "--queue", "default")
        with running("taskiq", "migrate", *places, *arguments, cwd=self.path) as command:
            yield command

    def migrate(self, *arguments: str) -> None:
        with self.migration(*arguments) as command:
            assert command.wait(60) == 0, command.report

    def send(self, count: int, delay: float | None = None) -> None:
        async def send(broker: AsyncBroker) -> None:
            kicker = broker.kicker("note")
            await (kicker if delay is None else kicker.with_delay(delay)).kiq_many([call(number) for number in range(count)])

        self._with(self.source, send)

    def depth(self, url: str) -> QueueDepth:
        async def ask(broker: AsyncBroker) -> QueueDepth:
            assert broker.admin is not None
            return await broker.admin.depth("default")

        return self._with(url, ask)

    def wait_ready(self, url: str, count: int, seconds: float = 20.0) -> None:
        """Until exactly so many wait there."""
        end = time.monotonic() + seconds
        while (ready := self.depth(url).ready) != count:
            assert time.monotonic() < end, ready
            time.sleep(0.05)

    def wait_moved(self, command: RunningProcess, count: int) -> None:
        """Until so many more are in the target, or the command has ended."""

        async def wait(broker: AsyncBroker) -> None:
            assert broker.admin is not None
            goal = (await broker.admin.depth("default")).ready + count
            while command.returncode is None and (await broker.admin.depth("default")).ready < goal:
                await anyio.sleep(0.005)

        self._with(self.target, wait)

    def ran(self) -> list[int]:
        ledger = self.path / "ledger"
        return [int(line) for line in ledger.read_text().splitlines()] if ledger.exists() else []

    def wait_ran(self, count: int, seconds: float = 60.0) -> None:
        """Until that many have run and nothing is left on either side; then each has run once."""
        end = time.monotonic() + seconds
        while len(self.ran()) < count or (self.depth(self.source), self.depth(self.target)) != (NOTHING, NOTHING):
            assert time.monotonic() < end, (len(self.ran()), self.depth(self.source), self.depth(self.target))
            time.sleep(0.05)
        assert sorted(self.ran()) == list(range(count))

    @staticmethod
    def _with(url: str, use: Callable[[AsyncBroker], Awaitable[T]]) -> T:
        async def run() -> T:
            async with broker_from_url(url, results=False) as broker:
                return await use(broker)

        return anyio.run(run)


@pytest.fixture(params=RING[:3], ids="-to-".join)
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    with ExitStack() as stack:
        yield Place(tmp_path, *(_url(kind, tmp_path, stack) for kind in request.param))


def _url(kind: str, folder: Path, stack: ExitStack) -> str:
    if kind == "sqlite":
        return f"sqlite:///{folder / 'jobs.db'}"
    if kind == "redis":
        return f"{redis_servers.shared_redis().url}?prefix={stack.enter_context(redis_servers.redis_prefix())}"
    if kind == "rabbitmq":
        return f"{shared_url(RabbitServer)}?prefix={fresh_prefix()}"
    if kind == "nats":
        return f"{nats_servers.shared_nats().url}?prefix={stack.enter_context(nats_servers.nats_prefix())}"
    url = postgres_servers.shared_postgres().url
    return f"{url}{'&' if '?' in url else '?'}schema={stack.enter_context(postgres_servers.fresh_schema())}"


def test_killed_again_and_again(place: Place) -> None:
    count, chance = 2_500, random.Random(1)
    place.send(count)
    with place.worker(place.source), place.worker(place.target):
        for _ in range(2):
            with place.migration("--resume") as command:
                place.wait_moved(command, chance.randrange(1, 400))
                assert command.returncode is None, command.report
                os.kill(command.pid, signal.SIGKILL)
        place.migrate("--resume")
        place.wait_ran(count)


@pytest.mark.parametrize("place", (*RING, ("rabbitmq", "postgres")), ids="-to-".join, indirect=True)
def test_killed_between_the_send_and_the_removal(place: Place) -> None:
    place.send(250)
    with place.worker(place.target):
        environment = {"SOURCE": place.source, "TARGET": place.target}
        with running("python", "-c", KILLED_BETWEEN, cwd=place.path, env=environment) as command:
            assert command.wait() == -signal.SIGKILL, command.report
        place.wait_ready(place.source, 250)  # a server gives back what a connection held, when it sees that end
        assert place.depth(place.target).ready == 100
        with place.worker(place.source):
            with place.migration() as command:
                assert command.wait() == 2
                command.wait_for_line("Paused already: default. .* --resume or --keep-paused")
            place.migrate("--resume")
            place.wait_ran(250)


@pytest.mark.parametrize("place", RING[:1], ids="-to-".join, indirect=True)
def test_stopped_by_a_signal(place: Place) -> None:
    count = 2_000
    place.send(count)
    with place.worker(place.source), place.worker(place.target):
        with place.migration() as command:
            place.wait_moved(command, 1)
            command.send_signal(signal.SIGINT)
            assert command.wait() == 3, command.report
            command.wait_for_line("the same command goes on with the rest")
        place.migrate()
        place.wait_ran(count)
