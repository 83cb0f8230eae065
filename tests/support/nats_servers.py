"""The one NATS server that all tests of a process share, each with streams of its own."""

import asyncio
import ssl
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import unquote, urlsplit

from nats.aio.client import Client as NATS
from nats.errors import NoServersError
from nats.js import JetStreamContext
from support.nats_server import NatsServer
from support.shared_server import fresh_prefix, run_apart, shared_url

T = TypeVar("T")

_PATIENCE = 3.0


@dataclass(frozen=True)
class SharedNats:
    """A server that others use too: never end it or change its settings."""

    url: str

    def ask(self, question: Callable[[JetStreamContext], Awaitable[T]]) -> T:
        """See `ask`."""
        return ask(self.url, question)


def shared_nats() -> SharedNats:
    """See `shared_url`."""
    return SharedNats(shared_url(NatsServer))


@contextmanager
def nats_prefix() -> Generator[str]:
    """A text that no other test's streams have in their names; those that do are deleted from the shared server afterwards."""
    prefix = fresh_prefix()
    try:
        yield prefix
    finally:
        shared_nats().ask(lambda jetstream: _delete_streams(jetstream, prefix))


def ask(url: str, question: Callable[[JetStreamContext], Awaitable[T]], trust: ssl.SSLContext | None = None) -> T:
    """Ask a server on a connection of its own, whatever event loop runs here.

    :raises Exception: what `question` raises, or why the server cannot be reached at once.
    """
    return run_apart(_connect_and_ask(url, question, trust))


async def _connect_and_ask(url: str, question: Callable[[JetStreamContext], Awaitable[T]], trust: ssl.SSLContext | None) -> T:
    reasons: list[Exception] = []

    async def note(reason: Exception) -> None:
        reasons.append(reason)

    client, place = NATS(), urlsplit(url)
    options: dict[str, Any] = {"max_reconnect_attempts": 1, "reconnect_time_wait": 0.1, "connect_timeout": _PATIENCE}
    if place.username:  # the driver takes them out of a URL as they stand there, quoted
        options |= {"user": unquote(place.username), "password": unquote(place.password or "")}
    try:
        bare = place._replace(netloc=place.netloc.rpartition("@")[2]).geturl()
        async with asyncio.timeout(_PATIENCE):
            await client.connect(bare, error_cb=note, tls=trust, **options)
        return await question(JetStreamContext(client, timeout=10))
    except (NoServersError, TimeoutError) as error:
        raise (reasons or [error])[0] from None
    finally:
        await client.close()


async def _delete_streams(jetstream: JetStreamContext, mark: str) -> None:
    offset, names = 0, list[str]()
    while page := await jetstream.streams_info(offset=offset):
        names += [info.config.name for info in page if info.config.name and mark in info.config.name]
        offset += len(page)
    for name in names:
        await jetstream.delete_stream(name)
