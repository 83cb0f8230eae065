"""Kinds of servers that can be measured."""

import asyncio
import tempfile
from collections.abc import Awaitable, Callable, Generator
from contextlib import AbstractAsyncContextManager, AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

import uvloop

from benchmarks.clock import Time
from benchmarks.server import Server
from benchmarks.workers import Arena

S = TypeVar("S", bound=Server)

Raw = Callable[[Any, int], Awaitable[Time]]
"""A loop written by hand over a client, for so many tasks."""


class ServerArena(Arena, Generic[S]):
    """Clients and workers on a server of their own."""

    def __init__(self, folder: Path, url: str, server: S) -> None:
        super().__init__(folder, url)
        self.server = server


@dataclass(frozen=True)
class Store(Generic[S]):
    """One kind: how to start one, where we are on it, and the raw loops that we are measured beside."""

    name: str
    driver: str
    """What the raw loops are written over."""
    server: Callable[[], AbstractContextManager[S]]
    url: Callable[[S], str]
    """For our broker; behind a space another for the results, where those are kept elsewhere."""
    client: Callable[[S], AbstractAsyncContextManager[Any]]
    """For the raw loops."""
    add_singly: Raw
    add_in_batches: Raw
    drain: Raw
    round_trips: Callable[[Any, int], Awaitable[list[float]]]

    @contextmanager
    def arena(self) -> Generator[ServerArena[S]]:
        """One on a new server, which ends with the block."""
        with tempfile.TemporaryDirectory(prefix="taskiq-bench-") as name, self.server() as server:
            yield ServerArena(Path(name), self.url(server), server)

    def raw(self, loop: Callable[[Any, int], Awaitable[Any]], count: int, event_loop: str = "asyncio") -> Any:
        """What a raw loop returns, run on a new server."""
        with self.server() as server:

            async def main() -> Any:
                async with self.client(server) as client:
                    return await loop(client, count)

            return uvloop.run(main()) if event_loop == "uvloop" else asyncio.run(main())
