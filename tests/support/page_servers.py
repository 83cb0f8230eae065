"""The servers that the pages name: real ones, private to a page, whose addresses take the place of those in its blocks."""

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from support.certificates import make_certificates
from support.nats_server import NatsServer
from support.postgres_server import PostgresServer
from support.rabbitmq_server import RabbitServer
from support.redis_cluster import running_cluster
from support.redis_sentinel import running_sentinel
from support.redis_server import RedisServer


def addresses_for(text: str, folder: Path, stack: ExitStack) -> dict[str, str]:
    """Start what `text` names, until `stack` ends; answers what to write instead of each address.

    Files that belong to a server are put into `folder`, under the names that the pages use.
    """
    return {named: start(folder, stack) for named, start in _NAMED.items() if named in text}


def _single(_: Path, stack: ExitStack) -> str:
    return _hosts(stack.enter_context(RedisServer()).url)


def _tls(folder: Path, stack: ExitStack) -> str:
    return _hosts(stack.enter_context(RedisServer(tls=make_certificates(folder))).url)


def _sentinels(_: Path, stack: ExitStack) -> str:
    return _hosts(stack.enter_context(running_sentinel("appendonly yes")).url)


def _cluster(_: Path, stack: ExitStack) -> str:
    return _hosts(stack.enter_context(running_cluster()).url)


def _postgres(_: Path, stack: ExitStack) -> str:
    return _hosts(stack.enter_context(PostgresServer()).url)


def _nats(_: Path, stack: ExitStack) -> str:
    return _hosts(stack.enter_context(NatsServer()).url)


def _rabbitmq(_: Path, stack: ExitStack) -> str:
    return _hosts(stack.enter_context(RabbitServer()).url).rpartition("@")[2]


def _hosts(url: str) -> str:
    return url.partition("://")[2].partition("/")[0]


_NAMED: dict[str, Callable[[Path, ExitStack], str]] = {
    "localhost:6379": _single,
    "localhost:6380": _tls,
    "localhost:5432": _postgres,
    "localhost:4222": _nats,
    "localhost:5672": _rabbitmq,
    "sentinel1:26379,sentinel2:26379,sentinel3:26379": _sentinels,
    "node1:7000,node2:7000,node3:7000": _cluster,
}
