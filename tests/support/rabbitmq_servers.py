"""The one RabbitMQ server that all tests of a process share, each with a prefix of its own for what it declares."""

import atexit
import os
import secrets
from functools import cache

from support.rabbitmq_server import RabbitServer

URL_VARIABLE = "TASKIQ_TEST_RABBITMQ_URL"
"""Environment variable with the URL of a server to use instead of one that is started here.

What tests declare stays on it, below names that begin with `test-`: name one that can be thrown away.
"""


@cache
def shared_rabbitmq() -> str:
    """The URL of the server named by the environment, or else of this process's own, which the first call starts.

    Others use it too: never end it or change its settings. A plain function, for tests that have no fixtures too. Skips the
    test that asks, if no server can be had.
    """
    return os.environ.get(URL_VARIABLE) or _start_shared().url


def fresh_prefix() -> str:
    """A text that no other test's queues and exchanges begin with."""
    return f"test-{secrets.token_hex(8)}"


def _start_shared() -> RabbitServer:
    server = RabbitServer().start()
    owner = os.getpid()

    def close() -> None:
        if os.getpid() == owner:  # and not a fork of it
            server.close()

    atexit.register(close)
    return server
