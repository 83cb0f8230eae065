"""Where the queues and results of a crash test are: on servers that are empty at its beginning, behind proxies."""

from abc import ABC, abstractmethod
from contextlib import AbstractContextManager, ExitStack
from typing import Any

from kept_servers import kept
from redis import Redis
from support import nats_servers, postgres_servers
from support.nats_server import NatsServer
from support.postgres_server import PostgresServer
from support.rabbitmq_server import RabbitServer
from support.redis_server import RedisServer
from support.server_process import ServerProcess
from support.tcp_proxy import TcpProxy


class ServerStore(ABC):
    """A server that loses nothing it has answered for, or two, each with a proxy in front of it."""

    lease_option = "lease"
    buries = True

    def __init__(self) -> None:
        self._stack = ExitStack()
        self.server, self.proxy = self.results_server, self.results_proxy = self._start(self._make())

    def part(self) -> None:
        self.results_server, self.results_proxy = self._start(self._make())

    @property
    def url(self) -> str:
        return self.server.url_at(self.proxy.port)

    @property
    def results_url(self) -> str:
        return self.results_server.url_at(self.results_proxy.port)

    @property
    def calm_url(self) -> str:
        return self.server.url

    @property
    def calm_results_url(self) -> str:
        return self.results_server.url

    @abstractmethod
    def leftovers(self) -> list[str]: ...

    def close(self) -> None:
        self._stack.close()

    @abstractmethod
    def _make(self) -> AbstractContextManager[ServerProcess]:
        """A server that runs for the length of a block."""

    def _start(self, making: AbstractContextManager[ServerProcess]) -> tuple[Any, TcpProxy]:
        server = self._stack.enter_context(making)
        return server, self._stack.enter_context(TcpProxy(server.port))


class RedisStore(ServerStore):
    def client(self) -> Redis:
        return self.server.client()

    def leftovers(self) -> list[str]:
        with self.client() as client:
            found = [f"{key}: {size}" for key in self.streams(client) if (size := client.xlen(key))]
            if size := client.hlen("{taskiq}:ids"):
                found.append(f"ids: {size}")
            for kind, count in (("due", client.zcard), ("later", client.hlen)):
                found += [f"{key}: {size}" for key in client.scan_iter("{taskiq}:q:*:" + kind) if (size := count(key))]
            return found

    def streams(self, client: Redis) -> list[str]:
        """The names of the keys that hold messages."""
        return [key for key in client.scan_iter("{taskiq}:q:*", _type="stream") if not key.endswith(":nudge")]

    def deaths(self) -> list[int]:
        """Of each message that was delivered at least twice and is not done with."""
        with self.client() as client:
            keys = client.scan_iter("{taskiq}:q:*:back")
            script = "return redis.call('XRANGE', KEYS[1], '-', '+')[1][2][6]"  # not all of it, as a body is no text
            return [int(str(client.eval(script, 1, key)).split()[1]) for key in keys if client.xlen(key)]

    def largest_result(self) -> int:
        with self.results_server.client() as client:
            return max(client.strlen(key) for key in client.scan_iter("{taskiq}:result:*"))

    def _make(self) -> RedisServer:
        return _redis()


class PostgresStore(ServerStore):
    def leftovers(self) -> list[str]:
        ((count,),) = postgres_servers.ask(self.server.url, "SELECT count(*) FROM taskiq.messages")
        return [f"{count} messages"] if count else []

    def _make(self) -> AbstractContextManager[PostgresServer]:
        return kept(PostgresServer, _empty_postgres)  # what the kernel has of its files outlives its processes


class NatsStore(ServerStore):
    buries = False

    def leftovers(self) -> list[str]:
        info = nats_servers.ask(self.server.url, lambda jetstream: jetstream.stream_info("taskiq-queues"))
        return [f"{info.state.messages} messages"] if info.state.messages else []

    def _make(self) -> NatsServer:
        return NatsServer("max_payload: 33554432")  # what the kernel has of its files outlives its process


class RabbitStore(ServerStore):
    """Queues on RabbitMQ, results on Redis: they are apart from the start."""

    lease_option = "heartbeat"
    buries = False

    def __init__(self) -> None:
        super().__init__()
        self.results_server, self.results_proxy = self._start(_redis())

    def part(self) -> None:
        return

    def leftovers(self) -> list[str]:
        found: str = self.server.erlang(_HELD)
        return [item.strip('"') for item in found[1:-1].split(",") if item]

    def _make(self) -> AbstractContextManager[RabbitServer]:
        return kept(RabbitServer, lambda server: server.erlang(_NEW_VHOST))


_HELD = """
    [lists:flatten(io_lib:format("~s: ~b", [element(4, amqqueue:get_name(Q)), N]))
     || Q <- rabbit_amqqueue:list(), amqqueue:is_quorum(Q), {ok, {_, N}, _} <-
        [ra:leader_query(amqqueue:get_pid(Q), fun rabbit_fifo:query_messages_total/1)],
        N > 0, re:run(element(4, amqqueue:get_name(Q)), ":(dead|pauses)$") =:= nomatch]
"""
"""Queues with messages, those in consumers' hands included; but for dead letters."""


_NEW_VHOST = """
    rabbit_vhost:delete(<<"/">>, <<"tests">>), rabbit_vhost:add(<<"/">>, <<"tests">>),
    rabbit_auth_backend_internal:set_permissions(<<"guest">>, <<"/">>, <<".*">>, <<".*">>, <<".*">>, <<"tests">>)
"""
"""Without connections, queues and exchanges."""


def _empty_postgres(server: PostgresServer) -> None:
    others = "pid <> pg_backend_pid() AND backend_type = 'client backend'"
    postgres_servers.ask(server.url, f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {others}")
    postgres_servers.ask(server.url, "DROP SCHEMA IF EXISTS taskiq CASCADE")


def _redis() -> RedisServer:
    return RedisServer("appendonly yes", "appendfsync always")
