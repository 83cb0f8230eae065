"""Many callers that wait for things in one store, with one watch on the store between them."""

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from typing import Generic, Protocol

import anyio
import anyio.lowlevel
from typing_extensions import TypeVar

from taskiq_core import clock

V = TypeVar("V")

_DEAR = 0.002
"""Seconds for a look at all keys from which on it pays to look less often."""
_GATHER = 0.1
"""Seconds for that at most: a fetch may have sat out an outage."""


class Watch(Protocol):
    """Sees that a store changes."""

    async def wait(self) -> Collection[str] | None:
        """Return soon after the next change since the watch was opened; may return without one.

        The keys that have changed, where the watch knows them; None where any key may have.
        """
        ...


class SharedWait(Generic[V]):
    """Waits for values that appear in a store under known keys.

    One of the callers leads: it watches the store and fetches for all; when it leaves, the next one leads, and the last one
    closes the watch. So there is no task in the background, nothing to shut down, and a thousand callers cost one watch and
    one fetch per change.

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
        self._by_key: dict[str, list[_Caller[V]]] = {}
        self._fresh: dict[str, None] = {}
        self._opened = ExitStack()
        self._watch: Watch | None = None
        self._leader: _Caller[V] | None = None
        self._pause: anyio.CancelScope | None = None

    async def wait(self, keys: Sequence[str], timeout: float | None = None) -> dict[str, V]:
        """Wait until at least one key exists and return those that do; empty after `timeout` seconds. Cancelling is safe.

        Whatever `fetch` raises goes to the leader; the others carry on.
        """
        caller = _Caller[V](keys)
        self._enter(caller)
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
            self._leave(caller)
        return caller.found

    def _enter(self, caller: "_Caller[V]") -> None:
        self._callers[caller] = None
        for key in caller.keys:
            self._by_key.setdefault(key, []).append(caller)
            self._fresh[key] = None
        if self._pause is not None:
            self._pause.cancel()  # the leader must look for the new keys too

    def _leave(self, caller: "_Caller[V]") -> None:
        del self._callers[caller]
        for key in caller.keys:
            self._by_key[key].remove(caller)
            if not self._by_key[key]:
                del self._by_key[key]
        if self._leader is None or self._leader is caller:
            self._leader = self._pause = None
            for other in self._callers:
                if not other.found:
                    other.woken.set()
                    return
        if not self._callers:
            self._watch = None
            self._opened.close()

    async def _lead(self, caller: "_Caller[V]") -> None:
        if self._watch is None:
            self._watch = self._opened.enter_context(self._open_watch())
            self._fresh = dict.fromkeys(self._by_key)
        while True:
            spent = await self._look()
            if caller.found:
                return
            if not self._fresh:
                with anyio.CancelScope() as self._pause:
                    if spent > _DEAR:
                        await anyio.sleep(min(spent, _GATHER))  # let some more changes gather
                    changed = await self._watch.wait()
                    # Added to what may have come in the very moment in which the watch returned.
                    self._fresh.update(dict.fromkeys(self._by_key if changed is None else changed))
                self._pause = None

    async def _look(self) -> float:
        """Fetch what is fresh, and wake those who have got something; returns the seconds it took.

        What is fresh stays so until it has been fetched, for the next leader if this one is cancelled.
        """
        keys = [key for key in self._fresh if key in self._by_key]
        if not keys:  # news of what nobody waits for, perhaps without end
            self._fresh = {}
            await anyio.lowlevel.checkpoint()
            return 0.0
        begin = clock.monotonic()
        found = await self._fetch(keys)
        for key in keys:
            self._fresh.pop(key, None)
        for key, value in found.items():
            for caller in self._by_key.get(key, ()):
                caller.found[key] = value
                caller.woken.set()
        return clock.monotonic() - begin


class _Caller(Generic[V]):
    __slots__ = ("found", "keys", "woken")

    def __init__(self, keys: Sequence[str]) -> None:
        self.keys = list(dict.fromkeys(keys))
        self.found: dict[str, V] = {}
        self.woken = anyio.Event()
