"""A client that goes on sending whatever happens, and keeps book of the answers."""

import threading
from types import TracebackType
from typing import Any, Self

import anyio
from arena import PATIENCE, Arena, wait_until

from taskiq_core import AsyncBroker, SendTaskError

_PAUSE = 0.01
_AT_ONCE = 20


class SteadySender:
    """Sends `nap` from a thread of its own, through the same network as the workers, for the length of the block.

    A key of `accepted` must run once, one of `unknown` at most once, and one of `refused` never.
    """

    def __init__(self, arena: Arena[Any], seconds: float = 0.03) -> None:
        self._arena = arena
        self._seconds = seconds
        self.accepted: dict[str, str] = {}
        """Task ids by key."""
        self.refused: list[str] = []
        self.unknown: list[str] = []
        self._stopped = threading.Event()
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()

    def stop(self) -> None:
        """Wait for the answers to what was sent, and send no more."""
        self._stopped.set()
        self._thread.join(PATIENCE)
        assert not self._thread.is_alive(), "the client hangs"
        if self._failure is not None:
            raise self._failure

    def wait_accepted(self, more: int) -> None:
        """Until so many more have been accepted and have ended."""
        known = set(self.accepted)

        def enough() -> bool:
            assert self._thread.is_alive(), self._failure
            return len(self._arena.ledger().ends.keys() & (self.accepted.copy().keys() - known)) >= more

        wait_until(enough, f"{more} more tasks accepted and ended")

    def check(self) -> None:
        """After `stop`: lost 0, stuck 0, twice 0, and every result is there."""
        self._arena.wait_ends(list(self.accepted))
        self._arena.wait_empty()
        ledger = self._arena.ledger()
        assert ledger.doubled() == {}
        assert [key for key in self.refused if key in ledger.starts] == []
        results = self._arena.results(list(self.accepted.values()))
        assert [result.return_value for result in results] == list(self.accepted)
        assert self._arena.dead_letters() == []
        assert not [line for process in self._arena.processes for line in process.lines if "given to another worker" in line]

    def _run(self) -> None:
        try:
            anyio.run(self._send_all)
        except BaseException as error:
            self._failure = error

    async def _send_all(self) -> None:
        limit = anyio.CapacityLimiter(_AT_ONCE)
        async with self._arena.sender() as broker, anyio.create_task_group() as group:
            number = 0
            while not self._stopped.is_set():
                group.start_soon(self._send, broker, f"s{number}", limit)
                number += 1
                await anyio.sleep(_PAUSE)
                async with limit:
                    pass

    async def _send(self, broker: AsyncBroker, key: str, limit: anyio.CapacityLimiter) -> None:
        async with limit:
            try:
                handle = await broker.kicker("nap").kiq(key, self._seconds)
            except SendTaskError as error:
                (self.unknown if error.outcome == "unknown" else self.refused).append(key)
            else:
                self.accepted[key] = handle.task_id
