"""Many callers that wait for things in one store, with one watch on the store between them."""

import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Generic, Protocol

import anyio
from typing_extensions import TypeVar

V = TypeVar("V")


class Watch(Protocol):
    """Sees that a store changes."""

    async def wait(self) -> None:
        """Return soon after the next change since the watch was opened; may return without one."""
        ...


class SharedWait(Generic[V]):
    """Waits for values that appear in a store under known keys.

    One of the callers leads: it watches the store and fetches for all; when it leaves, the next one leads. So there is no
    task in the background, nothing to shut down, and a thousand callers cost one watch and one fetch per change.

    :param fetch: those of the keys that exist, in one round trip.
    :param open_watch: opens a watch that misses no change from then on.

    Belongs to one event loop.
    """

    def __init__(
        self,
        fetch: Callable[[Sequence[str]], Awaitable[Mapping[str, V]]],
        open_watch: Callable[[], AbstractContextManager[Watch]],
    ) -> None:
        self._fetch, self._open_watch = fetch, open_watch
        self._callers: dict[_Caller[V], None] = {}
        self._fresh: list[_Caller[V]] = []
        self._leader: _Caller[V] | None = None
        self._pause: anyio.CancelScope | None = None

    async def wait(self, keys: Sequence[str], timeout: float | None = None) -> dict[str, V]:
        """Wait until at least one key exists and return those that do; empty after `timeout` seconds. Cancelling is safe.

        Whatever `fetch` raises goes to the leader; the others carry on.
        """
        caller = _Caller[V](keys)
        self._callers[caller] = None
        self._fresh.append(caller)
        if self._pause is not None:
            self._pause.cancel()  # the leader must look for the new keys too
        try:
            with anyio.move_on_after(timeout if keys else 0):
                while not caller.found:
                    if self._leader is None:
                        self._leader = caller
                        await self._lead(caller)
                    else:
                        await caller.woken.wait()
                        caller.woken = anyio.Event()
        finally:
            del self._callers[caller]
            if self._leader is None or self._leader is caller:
                self._leader = None
                self._wake_next()
        return caller.found

    def _wake_next(self) -> None:
        for other in self._callers:
            if not other.found:
                other.woken.set()
                return

    async def _lead(self, caller: "_Caller[V]") -> None:
        with self._open_watch() as watch:
            asking: Iterable[_Caller[V]] = self._callers
            while True:
                spent = await self._look(list(asking))
                if caller.found:
                    return
                if not self._fresh:
                    with anyio.CancelScope() as self._pause:
                        await watch.wait()
                        await anyio.sleep(spent)  # a look at many keys is dear: let some changes gather
                    self._pause = None
                asking = self._fresh or self._callers

    async def _look(self, asking: "Sequence[_Caller[V]]") -> float:
        """Fetch for some callers and wake those that have got something; returns the seconds it took."""
        self._fresh = []
        begin = time.monotonic()
        found = await self._fetch(list({key: None for caller in asking for key in caller.keys}))
        for caller in asking:
            caller.found = {key: found[key] for key in caller.keys if key in found}
            if caller.found:
                caller.woken.set()
        return time.monotonic() - begin


class _Caller(Generic[V]):
    __slots__ = ("found", "keys", "woken")

    def __init__(self, keys: Sequence[str]) -> None:
        self.keys = keys
        self.found: dict[str, V] = {}
        self.woken = anyio.Event()
