"""What every contract suite is made of: laws, and the one way of running a law."""

import traceback
import unittest
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any, Generic, Protocol, cast

import anyio
from typing_extensions import TypeVar

from taskiq_core.capability import Capability

P = TypeVar("P")


@dataclass(frozen=True, slots=True)
class Terms:
    """When a law applies, and how its plugin is to be made."""

    needs: Capability = Capability.NONE
    short_lease: bool = False
    shared: bool = False


class LawTest(Protocol):
    """A law as pytest collects it: a plain method that runs an event loop of its own."""

    terms: Terms

    def __call__(self, suite: Any, anyio_backend: Any) -> None: ...


class Suite(Generic[P]):
    """Base of the contract suites. A plugin's test class overrides `fresh_store` and, where needed, the attributes."""

    deadline: float = 20.0
    """Seconds that one law may take; what has not happened by then will never happen."""

    backends: tuple[str, ...] = ("asyncio", "trio")
    """Event loops that the plugin's driver can use; laws are skipped on the others."""

    shared: bool = True
    """False where two instances never see each other's data, as in memory."""

    def fresh_store(self) -> AbstractAsyncContextManager[Callable[[], P]]:
        """An empty store of its own for one law, and a factory of plugin instances on it, not yet started.

        The suite starts and shuts down what the factory makes; the context cleans up the store.
        """
        msg = f"{type(self).__name__} must override fresh_store()."
        raise NotImplementedError(msg)

    def prepare(self, terms: Terms) -> None:
        """Called before `fresh_store`."""

    def why_not(self, terms: Terms, plugin: P) -> str | None:
        """Why a law does not apply to the plugin; None if it does."""
        return "instances share nothing" if terms.shared and not self.shared else None

    async def another(self) -> P:
        """One more started instance on the same store, as another process would have it."""
        return await self.start(self._make())

    def run(self, method: Callable[[Any, P], Awaitable[None]], terms: Terms, anyio_backend: Any) -> None:
        """Run one law to its end on one event loop.

        :raises AssertionError: if it does not hold, also for want of time; whatever else the plugin raised goes through.
        :raises unittest.SkipTest: if it does not apply.
        """
        name, options = cast(
            "tuple[str, dict[str, Any]]", (anyio_backend, {}) if isinstance(anyio_backend, str) else anyio_backend
        )
        if name not in self.backends:
            msg = f"the plugin does not run on {name}"
            raise unittest.SkipTest(msg)
        try:
            anyio.run(self._run, method, terms, backend=name, backend_options=options)
        except BaseException as error:  # noqa: BLE001 - raised again, without the groups around it
            first = _first_leaf(error)
            first.add_note(f"The law: {(method.__doc__ or '').strip()}")
            raise first from first.__cause__

    async def _run(self, method: Callable[[Any, P], Awaitable[None]], terms: Terms) -> None:
        self.prepare(terms)
        self._started: list[P] = []
        async with self.fresh_store() as make:
            self._make = make
            plugin = make()
            reason = self.why_not(terms, plugin)
            if reason is not None:
                raise unittest.SkipTest(reason)
            try:
                await self._within_deadline(method, plugin)
            finally:
                with anyio.fail_after(self.deadline, shield=True):
                    for started in reversed(self._started):
                        await _call(started, "shutdown")

    async def _within_deadline(self, method: Callable[[Any, P], Awaitable[None]], plugin: P) -> None:
        place = ""
        with anyio.move_on_after(self.deadline) as scope:
            try:
                await method(self, await self.start(plugin))
            except anyio.get_cancelled_exc_class() as error:
                lines = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.name == method.__name__]
                place = f"; it was waiting in: {lines[-1].line}" if lines else ""
                raise
        if scope.cancelled_caught:
            msg = f"not done within {self.deadline:g} seconds{place}"
            raise AssertionError(msg)

    async def start(self, plugin: P) -> P:
        """Start an instance, to be shut down when the law ends."""
        self._started.append(plugin)
        await _call(plugin, "startup")
        return plugin


def law(
    needs: Capability = Capability.NONE, *, short_lease: bool = False, shared: bool = False
) -> Callable[[Callable[[Any, Any], Awaitable[None]]], LawTest]:
    """Make a law of an async method that takes a started plugin: a test that pytest runs once per event loop.

    It needs neither a marker nor an async plugin's mode, and can be called as it is: `Suite().test_it("trio")`.
    """
    terms = Terms(needs, short_lease, shared)

    def wrap(method: Callable[[Any, Any], Awaitable[None]]) -> LawTest:
        def test(self: Suite[Any], anyio_backend: Any) -> None:
            self.run(method, terms, anyio_backend)

        test.__name__, test.__qualname__ = method.__name__, method.__qualname__
        test.__doc__, test.__module__ = method.__doc__, method.__module__
        found = cast("LawTest", test)
        found.terms = terms
        return found

    return wrap


async def _call(plugin: Any, name: str) -> None:
    # Record stores and coordinators need not have a life of their own.
    method = getattr(plugin, name, None)
    if method is not None:
        await method()


def _first_leaf(error: BaseException) -> BaseException:
    while isinstance(error, BaseExceptionGroup):
        error = cast("BaseExceptionGroup[BaseException]", error).exceptions[0]
    return error
