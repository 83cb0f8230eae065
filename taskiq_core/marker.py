"""How a parameter says that its value is a dependency."""

import inspect
from collections.abc import Callable, Mapping
from typing import Annotated, Any, cast, get_args, get_origin


class Dependency:
    """What `TaskiqDepends` leaves in a signature."""

    __slots__ = ("dependency", "kwargs", "use_cache")

    def __init__(self, dependency: Callable[..., Any] | None, use_cache: bool, kwargs: Mapping[str, Any]) -> None:
        self.dependency = dependency
        self.use_cache = use_cache
        self.kwargs = kwargs

    def __repr__(self) -> str:
        return f"TaskiqDepends({getattr(self.dependency, '__qualname__', self.dependency) or ''})"


def TaskiqDepends(  # noqa: N802 - Taskiq's name, and it reads as a marker
    dependency: Callable[..., Any] | None = None, *, use_cache: bool = True, kwargs: Mapping[str, Any] | None = None
) -> Any:
    """Mark a parameter as a dependency: as its default, or inside `Annotated`.

    `dependency` is a function (plain, async, generator, async generator, or one under `contextlib.contextmanager` or
    `asynccontextmanager`), a class or a callable object; without one the parameter's annotation is taken. Its own parameters
    may be dependencies in turn. It is called once per message however many ask for it, unless `use_cache` is False; `kwargs`
    are passed to it, and only uses with equal ones share a value.

    Generators are resumed after the task in reverse order. Other objects are handed over as they are: a context manager that
    a function merely returns is not entered. Plain functions run on the event loop, not in threads.

    :raises TypeError: if `dependency` is not callable.
    """
    if dependency is not None and not callable(dependency):
        msg = f"TaskiqDepends() takes something callable, not {dependency!r}"
        raise TypeError(msg)
    return Dependency(dependency, use_cache, dict(kwargs or {}))


def find_marker(parameter: inspect.Parameter, hint: Any) -> tuple[Dependency | None, Any]:
    """The marker of a parameter, if it has one, and its annotation without `Annotated`."""
    marker = _as_marker(parameter.default)
    if get_origin(hint) is Annotated:
        hint, *metadata = get_args(hint)
        for item in metadata:
            marker = marker or _as_marker(item)
    return marker, hint


def _as_marker(value: Any) -> Dependency | None:
    if isinstance(value, Dependency):
        return value
    # Markers of other frameworks (FastAPI's `Depends`) work too, so that a dependency can be shared with a web application.
    use_cache, dependency = getattr(value, "use_cache", None), getattr(value, "dependency", value)
    if isinstance(value, type) or not isinstance(use_cache, bool) or dependency is value:
        return None
    return Dependency(dependency, use_cache, cast("Mapping[str, Any]", getattr(value, "kwargs", None) or {}))
