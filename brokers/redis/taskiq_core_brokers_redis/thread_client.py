"""A connection for a thread, for the time when the event loop cannot be used."""

import threading
from typing import Any, cast

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from taskiq_core_brokers_redis.packing import Argument
from taskiq_core_brokers_redis.scripts import Script
from taskiq_core_brokers_redis.servers import Server

_TIMEOUT = 2.0
"""Seconds for each step, and each is tried once: whoever renews a lease will come again."""


class ThreadClient:
    """Runs scripts from one thread at a time; connects when first used, to the server that the loop last connected to."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._client: Any = None
        self._busy = threading.Lock()
        self._closed = False

    def run(self, script: Script, root: str, *arguments: Argument) -> bool:
        """False if it could not be run."""
        with self._busy:
            try:
                if self._closed:
                    return False
                if self._client is None:
                    self._client = self._connect()
                self._client.eval(script.text, 1, root, *arguments)
            except (redis.RedisError, OSError):
                self._drop()  # by the next time the loop may have found another server
                return False
            finally:
                self._close_if_asked()
            return True

    def close(self) -> None:
        """Close the connection, or have the thread that uses it close it. Returns at once."""
        self._closed = True
        if self._busy.acquire(blocking=False):
            try:
                self._close_if_asked()
            finally:
                self._busy.release()

    def _close_if_asked(self) -> None:
        if self._closed:
            self._drop()

    def _drop(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            client.close()

    def _connect(self) -> Any:
        options = self._server.thread_client_options()
        if options is None:
            msg = "no server is known yet"
            raise ConnectionError(msg)
        named = dict(options)
        if "path" in named:
            named["unix_socket_path"] = named.pop("path")
        named |= {"socket_timeout": _TIMEOUT, "socket_connect_timeout": _TIMEOUT, "retry": Retry(NoBackoff(), 0)}
        return cast("Any", redis.Redis)(**{**named, "single_connection_client": True})
