"""A connection for a thread, for the time when the event loop cannot be used."""

import threading
from typing import Any

import redis

from taskiq_core_brokers_redis.packing import Argument
from taskiq_core_brokers_redis.scripts import Script
from taskiq_core_brokers_redis.servers import Server

_TIMEOUT = 2.0


class ThreadClient:
    """Runs scripts from one thread at a time; connects when first used, to the server that the loop last connected to."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._client: Any = None
        self._lock = threading.Lock()

    def run(self, script: Script, root: str, *arguments: Argument) -> bool:
        """False if it could not be run."""
        with self._lock:
            try:
                if self._client is None:
                    self._client = self._connect()
                self._client.eval(script.text, 1, root, *arguments)
            except (redis.RedisError, OSError, ConnectionError):
                return False
            return True

    def close(self) -> None:
        """Close the connection."""
        with self._lock:
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
        return redis.Redis(socket_timeout=_TIMEOUT, socket_connect_timeout=_TIMEOUT, single_connection_client=True, **named)
