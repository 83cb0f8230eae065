"""Dependencies made for one message, and closed after it."""

import contextlib
import logging
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from types import CoroutineType
from typing import Any, Self, cast

import anyio

from taskiq_core.depends.graph import Kind, Overrides, Plan, compile_plan

logger = logging.getLogger("taskiq.depends")

TEARDOWN_TIMEOUT = 10.0
"""Seconds that all the generators of one message get together to close."""

Injected = dict[str, Any]
_Manager = AbstractContextManager[Any] | AbstractAsyncContextManager[Any]


class Resolver:
    """Makes the dependencies of one function, for message after message; it keeps none of their values.

    :raises ConfigurationError: at construction, for dependencies that cannot work (see `compile_plan`).
    """

    __slots__ = ("_func", "_latest", "names")

    def __init__(self, func: Callable[..., Any], plan: Plan) -> None:
        self._func = func
        self._latest: tuple[Overrides, frozenset[Any], Plan] = ({}, frozenset(), plan)
        self.names = frozenset(name for name, _ in plan.targets)
        """The parameters that are injected."""

    @classmethod
    def of(cls, func: Callable[..., Any]) -> Self | None:
        """The resolver of a function; None if it has no dependencies, so that it costs nothing at run time."""
        plan = compile_plan(func)
        return None if plan is None else cls(func, plan)

    def needs(self, kind: Any) -> bool:
        """Whether a context value of this type goes into anything."""
        return any(step.call is kind for step in self._latest[2].steps)

    def resolve(
        self, values: Mapping[Any, Any], overrides: Overrides | None = None, *, propagate: bool = True
    ) -> AbstractAsyncContextManager[Injected]:
        """`async with` around the call of the function; gives its injected parameters.

        `values` are the message's context values by type (see `context_values`), `overrides` what is called in the place of
        what. Leaving resumes the generators in reverse order, shielded from cancellation, within `TEARDOWN_TIMEOUT` seconds.
        With `propagate` they see the error or cancellation of the block at their `yield`; without it they never do. They
        cannot turn a failure into a success; what they raise themselves takes the place of the block's error, as in nested
        `async with` statements, but never that of a cancellation, which is kept while the error is logged.

        :raises TimeoutError: on leaving, if the generators did not close in time.
        """
        plan = self._plan(values, overrides or {})
        return _closing(plan, values, propagate) if plan.has_teardown else _Plain(plan, values)

    def _plan(self, values: Mapping[Any, Any], overrides: Overrides) -> Plan:
        known_overrides, provided, plan = self._latest
        if known_overrides == overrides and len(values) == len(provided) and provided.issuperset(values):
            return plan
        again = compile_plan(self._func, overrides=overrides, provided=values.keys())
        plan = again or plan
        self._latest = (dict(overrides), frozenset(values), plan)
        return plan


class _Plain:
    """Dependencies without anything to close."""

    __slots__ = ("_plan", "_values")

    def __init__(self, plan: Plan, values: Mapping[Any, Any]) -> None:
        self._plan = plan
        self._values = values

    async def __aenter__(self) -> Injected:
        return await _make(self._plan, self._values, [])

    async def __aexit__(self, *_: object) -> None:
        return None


@contextlib.asynccontextmanager
async def _closing(plan: Plan, values: Mapping[Any, Any], propagate: bool) -> AsyncGenerator[Injected]:
    opened: list[_Manager] = []
    failure: BaseException | None = None
    # The scope is there from the start and becomes a shield later: scopes that generators hold open must lie inside it.
    with anyio.CancelScope() as scope:
        try:
            yield await _make(plan, values, opened)
        except BaseException as error:  # noqa: BLE001 - raised again below
            failure = error
        scope.shield = True
        scope.deadline = anyio.current_time() + TEARDOWN_TIMEOUT
        outcome = await _close(opened, failure, propagate)
        scope.shield = False  # else a cancellation from outside that comes through here would count as the deadline's
        if outcome is not None:
            raise outcome
    if scope.cancelled_caught:
        msg = f"The dependencies were not closed within {TEARDOWN_TIMEOUT:g} seconds."
        raise TimeoutError(msg) from failure


async def _make(plan: Plan, values: Mapping[Any, Any], opened: list[_Manager]) -> Injected:
    slots: list[Any] = []
    for call, kind, inputs, extra in plan.steps:
        if kind is Kind.PROVIDED:
            slots.append(values[call])
            continue
        made = call(**{name: slots[slot] for name, slot in inputs}, **extra)
        if kind is Kind.CALL:
            value = await cast("CoroutineType[Any, Any, Any]", made) if type(made) is CoroutineType else made
        else:
            value = made.__enter__() if kind is Kind.MANAGER else await made.__aenter__()
            opened.append(made)
        slots.append(value)
    return {name: slots[slot] for name, slot in plan.targets}


async def _close(opened: list[_Manager], error: BaseException | None, propagate: bool) -> BaseException | None:
    """Close in reverse order and return the error that stands in the end."""
    for manager in reversed(opened):
        seen = error if propagate else None
        details = (None, None, None) if seen is None else (type(seen), seen, seen.__traceback__)
        try:
            if isinstance(manager, AbstractContextManager):
                manager.__exit__(*details)
            else:
                await manager.__aexit__(*details)
        except BaseException as raised:
            if raised is error:
                continue
            if error is None or isinstance(error, Exception):
                raised.__context__ = raised.__context__ or error
                error = raised
            else:
                logger.exception("Closing a dependency failed while the task was being cancelled.")
    return error
