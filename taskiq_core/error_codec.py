"""Exceptions as plain data and back, without pickle and without importing anything.

The data form is Taskiq's (`exc_type, exc_message, exc_module, exc_cause, exc_context, exc_suppress_context`) plus
`exc_fields` for errors of the framework's own kind, whose constructor takes keywords, and `exc_group` for the members of an
exception group. `exc_context` is absent where it is `exc_cause`.
"""

import contextlib
import functools
import sys
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from typing import Any, cast

from taskiq_core.exceptions import SecurityError, TaskiqError

_PLAIN = (str, int, float, bool, bytes, type(None))
_MOST = 50
"""Exceptions that are written of one error, all chains and groups together; those nearest to the top go first."""


def exception_to_data(error: BaseException) -> dict[str, Any]:
    """Plain data for one exception and what is behind it: causes, contexts, members of groups.

    Arguments that are not plain data become their `repr`. A chain that loops is cut where it meets itself.
    """
    tops: list[dict[str, Any]] = []
    waiting: deque[tuple[BaseException, frozenset[int], Callable[[dict[str, Any]], None]]] = deque()
    waiting.append((error, frozenset(), tops.append))
    written = 0
    while waiting and written < _MOST:
        one, above, put = waiting.popleft()
        data = _facts(one)
        put(data)
        written += 1
        above |= {id(one)}
        for name, other in _links(one):
            if id(other) not in above:
                waiting.append((other, above, functools.partial(data.__setitem__, name)))
        if isinstance(one, BaseExceptionGroup):
            members = cast("BaseExceptionGroup[BaseException]", one).exceptions
            waiting.extend((member, above, data["exc_group"].append) for member in members[:_MOST])
    return tops[0]


def _facts(error: BaseException) -> dict[str, Any]:
    data: dict[str, Any] = {
        "exc_type": type(error).__qualname__,
        "exc_message": [_plain(arg) for arg in error.args],
        "exc_module": type(error).__module__,
        "exc_cause": None,
        "exc_context": None,
        "exc_suppress_context": error.__suppress_context__,
    }
    if isinstance(error, BaseExceptionGroup):
        data["exc_message"] = [cast("BaseExceptionGroup[BaseException]", error).message]
        data["exc_group"] = []
    if isinstance(error, TaskiqError):
        data["exc_fields"] = {name: _plain(getattr(error, name, None)) for name in error.__fields__}
    return data


def _links(error: BaseException) -> Iterator[tuple[str, BaseException]]:
    cause, context = error.__cause__, error.__context__
    if cause is not None:
        yield "exc_cause", cause
    # `raise ... from error` inside `except` makes them the same: written twice, a chain would double at each of its links.
    if context is not None and context is not cause:
        yield "exc_context", context


def exception_from_data(data: Any) -> BaseException:
    """Rebuild an exception, as its own class where that class is already imported here.

    An unknown class becomes a new `Exception` subclass of that name. A class whose constructor refuses the arguments is
    made without calling it, so that `except ThatClass` still works.

    :raises SecurityError: if the data names something that is not an exception class.
    """
    if isinstance(data, BaseException):
        return data
    if not isinstance(data, Mapping):
        return Exception(str(data))
    known = cast("Mapping[str, Any]", data)
    cls = _find_class(known)
    error = _construct(cls, known)
    if known.get("exc_cause"):
        error.__cause__ = exception_from_data(known["exc_cause"])
    error.__context__ = error.__cause__
    if known.get("exc_context"):
        error.__context__ = exception_from_data(known["exc_context"])
    error.__suppress_context__ = bool(known.get("exc_suppress_context", False))
    return error


def _plain(value: Any, depth: int = 0) -> Any:
    if type(value) in _PLAIN:
        return value
    if depth < 4 and type(value) in (list, tuple):
        return [_plain(item, depth + 1) for item in cast("list[Any]", value)]
    if depth < 4 and type(value) is dict:
        return {str(key): _plain(item, depth + 1) for key, item in cast("dict[Any, Any]", value).items()}
    try:
        return repr(value)
    except Exception as error:  # noqa: BLE001 - a broken __repr__ must not cost the result
        return f"<unprintable {type(value).__name__}: {type(error).__name__}>"


def _find_class(data: Mapping[str, Any]) -> type[BaseException]:
    name, module = str(data.get("exc_type", "Exception")), data.get("exc_module") or "builtins"
    found: Any = sys.modules.get(str(module))
    for part in name.split("."):
        found = getattr(found, part, None)
    if found is None:
        return type(name.rpartition(".")[2] or "Exception", (Exception,), {"__module__": str(module)})
    if not (isinstance(found, type) and issubclass(found, BaseException)):
        msg = f"Expected an exception class, got {module}.{name} with payload {data.get('exc_message')!r}"
        raise SecurityError(description=msg)
    return found


def _is_group(cls: type[BaseException]) -> bool:
    return issubclass(cls, BaseExceptionGroup)


def _construct(cls: type[BaseException], data: Mapping[str, Any]) -> BaseException:
    message = data.get("exc_message")
    args = tuple(cast("list[Any]", message)) if isinstance(message, list | tuple) else (message,)
    if issubclass(cls, TaskiqError):
        error: BaseException = cls.__new__(cls, *args)
        error.__dict__.update(data.get("exc_fields") or {})
        return error
    children = data.get("exc_group")
    if children and _is_group(cls):
        with contextlib.suppress(Exception):
            return cls(args[0], [exception_from_data(child) for child in cast("list[Any]", children)])
    with contextlib.suppress(Exception):  # any constructor may refuse what repr() or a subclass made of its arguments
        return cls(*args)
    try:
        error = cls.__new__(cls)
        error.args = args
        str(error)
    except Exception:  # noqa: BLE001 - a __str__ that needs what the constructor would have set
        return Exception(f"{cls}({', '.join(repr(arg) for arg in args)})")
    return error
