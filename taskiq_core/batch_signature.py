"""What one message of a batch task looks like, from the function that takes a list of them."""

import collections.abc
import functools
import inspect
from collections.abc import Callable
from types import UnionType
from typing import Any, Union, get_args, get_origin

from taskiq_core.exceptions import ConfigurationError
from taskiq_core.marker import find_marker
from taskiq_core.signature import resolve_hints

_LISTS = (list, collections.abc.Sequence, collections.abc.Collection, collections.abc.Iterable)


def element_of(func: Callable[..., Any], task_name: str) -> Callable[..., Any]:
    """A function that takes one element and returns one value, with the annotations of both: never called, only looked at.

    :raises ConfigurationError: if `func` has another parameter than one list, dependencies aside.
    """
    hints, _ = resolve_hints(func)
    parameters = inspect.signature(func).parameters.values()
    own = [item for item in parameters if find_marker(item, hints.get(item.name, item.annotation))[0] is None]
    by_place = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    element = _element(hints.get(own[0].name, Any)) if len(own) == 1 and own[0].kind in by_place else None
    if element is None:
        reason = (
            f"Task {task_name!r} takes batches: it needs one parameter that is a list, as in `docs: list[Doc]`, and no other "
            "but dependencies."
        )
        raise ConfigurationError(reason=reason)

    def one(*values: Any) -> Any:
        raise NotImplementedError(values)

    functools.update_wrapper(one, func, updated=())
    del one.__wrapped__  # type: ignore[attr-defined]
    annotation, returned = element[0], _returned(hints.get("return", Any))
    one.__annotations__ = {own[0].name: annotation, "return": returned}
    parameter = inspect.Parameter(own[0].name, inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=annotation)
    one.__signature__ = inspect.Signature([parameter], return_annotation=returned)  # type: ignore[attr-defined]
    return one


def _element(annotation: Any) -> tuple[Any] | None:
    """The type of the elements; None for what is no list."""
    if annotation is Any or annotation in _LISTS:
        return (Any,)
    return (get_args(annotation)[0],) if get_origin(annotation) in _LISTS else None


def _returned(annotation: Any) -> Any:
    """Of `list[int | Exception] | None` it is `int | None`."""
    kinds = [kind for member in _members(annotation) for kind in _returned_kinds(member)]
    return Any if not kinds or Any in kinds else functools.reduce(lambda one, other: one | other, kinds)


def _returned_kinds(member: Any) -> list[Any]:
    if member is type(None):
        return [None]
    element = _element(member)
    if element is None:
        return [Any]
    return [kind for kind in _members(element[0]) if not (isinstance(kind, type) and issubclass(kind, BaseException))]


def _members(annotation: Any) -> tuple[Any, ...]:
    is_union = get_origin(annotation) in (Union, UnionType)
    return get_args(annotation) if is_union else (annotation,)
