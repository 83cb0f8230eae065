"""The dependencies of a function, compiled into a list of calls in the order in which they have to be made."""

import contextlib
import enum
import functools
import inspect
import types
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeVar, Union, cast, get_args, get_origin

from taskiq_core.exceptions import ConfigurationError
from taskiq_core.marker import Dependency, find_marker
from taskiq_core.signature import resolve_hints

Overrides = Mapping[Any, Callable[..., Any]]


class Kind(enum.Enum):
    """What becomes of what a step's call returns."""

    PROVIDED = enum.auto()
    """There is no call: the value is one of the message's context values."""
    CALL = enum.auto()
    """Awaited if it is a coroutine."""
    MANAGER = enum.auto()
    """Entered with `with`."""
    ASYNC_MANAGER = enum.auto()
    """Entered with `async with`."""


class Step(NamedTuple):
    """One value to be made; its place in the plan is its slot."""

    call: Any
    kind: Kind
    inputs: tuple[tuple[str, int], ...] = ()
    """Parameter names, and the slots of their values; always earlier ones."""
    kwargs: Mapping[str, Any] = {}


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything there is to do before one call of one function. Immutable: it holds no values."""

    steps: tuple[Step, ...]
    targets: tuple[tuple[str, int], ...]
    """The function's own parameters and the slots of their values."""
    has_teardown: bool


def compile_plan(
    func: Callable[..., Any], *, overrides: Overrides | None = None, provided: Collection[Any] = ()
) -> Plan | None:
    """The plan of a function, or None if it has no dependencies.

    `overrides` puts one callable in the place of another wherever that is depended on. Types in `provided` are looked up
    among the message's context values rather than called.

    :raises ConfigurationError: for a cycle (the text names the path), a marker with neither argument nor usable annotation, a
        marked parameter that cannot be passed by name, or a dependency function with a parameter that nothing can fill.
    """
    compiler = _Compiler(overrides or {}, provided)
    targets = compiler.inputs(func, func, {}, {})
    if not targets:
        return None
    managed = any(step.kind in (Kind.MANAGER, Kind.ASYNC_MANAGER) for step in compiler.steps)
    return Plan(tuple(compiler.steps), targets, managed)


class _Compiler:
    def __init__(self, overrides: Overrides, provided: Collection[Any]) -> None:
        self.steps: list[Step] = []
        self._overrides = overrides
        self._provided = provided
        self._cached: dict[Any, list[tuple[Mapping[str, Any], int]]] = {}
        self._path: list[Any] = []

    def inputs(
        self, call: Any, owner: Any, kwargs: Mapping[str, Any], typevars: Mapping[Any, Any]
    ) -> tuple[tuple[str, int], ...]:
        """The marked parameters of `call` and the slots of their values."""
        try:
            parameters = inspect.signature(call).parameters.values()
        except (TypeError, ValueError):  # some builtins have none
            return ()
        hints, _ = resolve_hints(call)
        found: list[tuple[str, int]] = []
        for item in parameters:
            marker, hint = find_marker(item, hints.get(item.name, item.annotation))
            if item.name in kwargs:
                continue
            if marker is None:
                self._refuse_unfillable(owner, item)
                continue
            if item.kind in (item.POSITIONAL_ONLY, item.VAR_POSITIONAL, item.VAR_KEYWORD):
                raise _error(owner, item, "is a dependency and so must be one that can be passed by name.")
            found.append((item.name, self._slot(marker, self._callable(owner, item, marker, _substitute(hint, typevars)))))
        return tuple(found)

    def _slot(self, marker: Dependency, call: Any) -> int:
        """The slot of a dependency; new calls are appended after all that they need."""
        for known in (_key(call), get_origin(call)):
            if known in self._overrides:
                call = self._overrides[known]
                break
        key = _key(call)
        if marker.use_cache:
            for kwargs, slot in self._cached.get(key, ()):
                if kwargs == marker.kwargs:
                    return slot
        if key in self._path:
            cycle = [*self._path[self._path.index(key) :], key]
            raise ConfigurationError(reason=f"Dependencies form a cycle: {' -> '.join(map(_name, cycle))}")
        self._path.append(key)
        self.steps.append(self._step(call, key, marker.kwargs))
        self._path.pop()
        slot = len(self.steps) - 1
        if marker.use_cache:
            self._cached.setdefault(key, []).append((marker.kwargs, slot))
        return slot

    def _step(self, call: Any, key: Any, kwargs: Mapping[str, Any]) -> Step:
        for name in (key, get_origin(call)):
            if name is not None and name in self._provided:
                return Step(name, Kind.PROVIDED)
        origin = get_origin(call) or call
        typevars = _constructor_types(origin, get_args(call)) if isinstance(origin, type) else {}
        inputs = self.inputs(origin, call, kwargs, typevars)
        return Step(*_factory(call), inputs, kwargs)

    def _callable(self, owner: Any, item: inspect.Parameter, marker: Dependency, hint: Any) -> Any:
        if marker.dependency is not None:
            return marker.dependency
        if isinstance(hint, str):
            raise _error(owner, item, f"is annotated with {hint!r}, which cannot be resolved. Import that name at run time.")
        origin = get_origin(hint) or hint
        if not isinstance(origin, type) or origin in (Any, Union, types.UnionType, item.empty):
            raise _error(owner, item, "has neither a class as annotation nor an argument in TaskiqDepends().")
        return hint

    def _refuse_unfillable(self, owner: Any, item: inspect.Parameter) -> None:
        # The root's other parameters are the task's arguments; a class may still be provided as a context value.
        if not self._path or isinstance(get_origin(owner) or owner, type) or item.default is not item.empty:
            return
        if item.kind not in (item.VAR_POSITIONAL, item.VAR_KEYWORD):
            raise _error(owner, item, "has no default and is not marked with TaskiqDepends(), so nothing can fill it.")


def _factory(call: Any) -> tuple[Any, Kind]:
    """What to call for a value, and what to do with what it returns."""
    if isinstance(get_origin(call) or call, type):
        return call, Kind.CALL
    is_function = inspect.isroutine(call) or isinstance(call, functools.partial)
    call = cast("Any", call)
    code = call if is_function else type(call).__call__
    if inspect.isgeneratorfunction(code):
        return contextlib.contextmanager(call), Kind.MANAGER
    if inspect.isasyncgenfunction(code):
        return contextlib.asynccontextmanager(call), Kind.ASYNC_MANAGER
    wrapped = inspect.unwrap(call)
    if wrapped is not call and inspect.isgeneratorfunction(wrapped):
        return call, Kind.MANAGER
    if wrapped is not call and inspect.isasyncgenfunction(wrapped):
        return call, Kind.ASYNC_MANAGER
    return call, Kind.CALL


def _constructor_types(cls: type, args: tuple[Any, ...]) -> dict[Any, Any]:
    """What the type variables in the constructor of `cls[args]` stand for, also where a base class defines it."""
    owner = next((base for base in cls.__mro__ if "__init__" in vars(base)), cls)

    def search(current: Any, known: dict[Any, Any]) -> dict[Any, Any] | None:
        if current is owner:
            return known
        for base in getattr(current, "__orig_bases__", current.__bases__):
            origin = get_origin(base) or base
            if isinstance(origin, type) and issubclass(origin, owner):
                values = [_substitute(arg, known) for arg in get_args(base)]
                return search(origin, dict(zip(getattr(origin, "__parameters__", ()), values, strict=False)))
        return None

    return search(cls, dict(zip(getattr(cls, "__parameters__", ()), args, strict=False))) or {}


def _substitute(hint: Any, typevars: Mapping[Any, Any]) -> Any:
    if isinstance(hint, TypeVar):
        return typevars.get(hint, hint.__bound__ or hint)
    parameters = cast("tuple[Any, ...]", getattr(hint, "__parameters__", ()))
    if parameters and get_origin(hint) is not None:
        return hint[tuple(typevars.get(parameter, parameter) for parameter in parameters)]
    return hint


def _key(call: Any) -> Any:
    """The callable itself as a key, or its identity where it cannot be hashed."""
    try:
        hash(call)
    except TypeError:
        return id(call)
    return call


def _name(call: Any) -> str:
    return str(getattr(call, "__qualname__", call))


def _error(owner: Any, item: inspect.Parameter, reason: str) -> ConfigurationError:
    return ConfigurationError(reason=f"Parameter {item.name!r} of {_name(owner)} {reason}")
