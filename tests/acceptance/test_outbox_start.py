"""A program that only sends through an outbox starts without its target; a worker does not."""

from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from support.nats_servers import nats_prefix, shared_nats
from support.outboxes import Database, database, emptied, relaying
from support.rabbitmq_server import RabbitServer
from support.redis_servers import redis_prefix, shared_redis
from support.shared_server import fresh_prefix, shared_url
from support.tcp_proxy import TcpProxy

from taskiq_core.broker import AsyncBroker
from taskiq_core.exceptions import ConfigurationError, SendTaskError
from taskiq_core.server_error import ServerError
from taskiq_core.testing.broker_tools import whats_there
from taskiq_core_brokers_nats import NatsBroker
from taskiq_core_brokers_rabbitmq import RabbitBroker
from taskiq_core_brokers_redis import RedisBroker

pytestmark = pytest.mark.anyio

Target = tuple[AsyncBroker, TcpProxy]
SECOND = 1.0


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    """The servers' plugins need asyncio."""
    return "asyncio"


@pytest.fixture
def home(tmp_path: Path) -> Generator[Database]:
    """The application's database."""
    with database("sqlite", tmp_path) as home:
        yield home


def through(proxy: TcpProxy, url: str) -> str:
    return url.replace(f":{urlsplit(url).port}", f":{proxy.port}")


@contextmanager
def away(url: str) -> Generator[tuple[str, TcpProxy]]:
    """The same server at another port, where nobody listens for now."""
    with TcpProxy(urlsplit(url).port or 0) as proxy:
        proxy.refuse()
        yield through(proxy, url), proxy


@contextmanager
def on_redis() -> Generator[Target]:
    with away(shared_redis().url) as (url, proxy), redis_prefix() as prefix:
        yield RedisBroker(url, prefix=prefix, send_timeout=SECOND), proxy


@contextmanager
def on_nats() -> Generator[Target]:
    with away(shared_nats().url) as (url, proxy), nats_prefix() as prefix:
        yield NatsBroker(url, prefix=prefix, send_timeout=SECOND), proxy


@contextmanager
def on_rabbitmq() -> Generator[Target]:
    with away(shared_url(RabbitServer)) as (url, proxy):
        yield RabbitBroker(url, prefix=fresh_prefix(), send_timeout=SECOND), proxy


TARGETS = pytest.mark.parametrize("target", [on_redis, on_nats, on_rabbitmq])


@TARGETS
async def test_a_sender_starts_without_its_target(
    home: Database, target: Callable[[], AbstractContextManager[Target]], caplog: pytest.LogCaptureFixture
) -> None:
    with target() as (broker, proxy):
        async with broker.with_outbox(home.broker):
            (told,) = [record for record in caplog.records if record.name == "taskiq.outbox"]
            assert (
                "is the address right? Started without it: what is sent within transactions waits in the outbox."
                in told.message
            )
            note = broker.kicker("note")
            async with home.transaction() as connection:
                with broker.within(connection):
                    assert (await note.kiq(1)).outcome == "pending"
            with pytest.raises(SendTaskError, match="could not be sent"):
                await note.kiq(2)
            proxy.resume()
            async with relaying(broker):
                await emptied(home)
            await note.kiq(3)
            assert len(await whats_there(broker)) == 2


@TARGETS
async def test_a_worker_needs_its_target(home: Database, target: Callable[[], AbstractContextManager[Target]]) -> None:
    with target() as (broker, _):
        broker.with_outbox(home.broker).is_worker_process = True
        with pytest.raises(ServerError, match="cannot be reached"):
            await broker.startup()


async def test_what_can_never_be_used_is_said_at_the_start(home: Database) -> None:
    """The target answers, and refuses: a sentence in the log would be read by nobody."""
    url = urlsplit(shared_url(RabbitServer))
    broker = RabbitBroker(f"amqp://nobody:wrong@{url.hostname}:{url.port}/").with_outbox(home.broker)
    with pytest.raises((ServerError, ConfigurationError), match="refuses"):
        await broker.startup()
