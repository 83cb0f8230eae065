"""The one server of a kind that all tests of a process share, each below a name of its own."""

import asyncio
import atexit
import os
import secrets
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import cache
from typing import Any, TypeVar

from support.server_process import ServerProcess

T = TypeVar("T")


@cache
def shared_url(kind: type[ServerProcess]) -> str:
    """The URL of the server named by the environment, or else of this process's own, which the first call starts.

    Others use it too: never end it or change its settings. A plain function, for tests that have no fixtures too. Skips the
    test that asks, if no server can be had.
    """
    if named := os.environ.get(kind.url_variable):
        return named
    running, owner = ExitStack(), os.getpid()
    server = running.enter_context(kind())

    def close() -> None:
        if os.getpid() == owner:  # and not a fork of it
            running.close()

    atexit.register(close)
    return server.url


def fresh_prefix() -> str:
    """A text that nothing of another test begins with."""
    return f"test-{secrets.token_hex(8)}"


def run_apart(work: Coroutine[Any, Any, T]) -> T:
    """Run it in a thread of its own, whatever event loop runs here, and return or raise what it does."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, work).result()
