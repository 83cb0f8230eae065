"""Arguments from the wire, bound to a function's parameters and made what the annotations say; results likewise.

All that can be decided from the signature is decided once, in `compile_arguments`.
"""

import functools
import inspect
import logging
import types
from collections.abc import Awaitable, Callable, Collection, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Union, cast, get_args, get_origin, get_type_hints

from pydantic import TypeAdapter, ValidationError

from taskiq_core.exceptions import ArgumentError, ConfigurationError

logger = logging.getLogger("taskiq.arguments")

Cast = bool | Literal["lenient"]

_SHOWN_ERRORS = 3
_BY_NAME = 1 << 30
"""The position of a parameter that positional arguments never reach."""


@dataclass(frozen=True, slots=True)
class _Converter:
    exact: frozenset[type]
    """Values of exactly these types are right as they are."""
    validate: Callable[[Any], Any]
    expected: str


@dataclass(frozen=True, slots=True)
class _Parameter:
    name: str
    position: int = _BY_NAME
    """Its index among the positional arguments of a message, which know nothing of injected parameters."""
    converter: _Converter | None = None
    none_is_fine: bool = False


_ANYTHING = _Parameter("")


@dataclass(frozen=True, slots=True)
class ArgumentBinder:
    """`binder(args, kwargs)` turns the arguments of a message into those to call the function with.

    Nothing is filled in for defaults and dependencies. Neither `args` nor `kwargs` is changed.

    :raises ArgumentError: for missing, unexpected or doubled arguments, and with strict casting for a value that does not
        fit its annotation. The text names the parameter and what was expected and never shows the value.
    """

    task_name: str
    lenient: bool
    positional: tuple[_Parameter, ...]
    leading: int
    """How many of `positional` come before any injected parameter; the others are passed on by name."""
    by_name: Mapping[str, _Parameter]
    required: tuple[_Parameter, ...]
    rest: _Parameter | None
    extra: _Parameter | None

    def __call__(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> tuple[list[Any], dict[str, Any]]:
        if not args and not kwargs and not self.required:
            return [], {}
        count = len(args)
        self._check(count, kwargs)
        called: list[Any] = [self._fit(p, p.name, v) for p, v in zip(self.positional[: self.leading], args, strict=False)]
        named: dict[str, Any] = {}
        if count > self.leading:
            for parameter, value in zip(self.positional[self.leading :], args[self.leading :], strict=False):
                named[parameter.name] = self._fit(parameter, parameter.name, value)
            if self.rest is not None:
                called += [self._fit(self.rest, self.rest.name, value) for value in args[len(self.positional) :]]
        for name, value in kwargs.items():
            named[name] = self._fit(self.by_name.get(name) or self.extra or _ANYTHING, name, value)
        return called, named

    def _check(self, count: int, kwargs: Mapping[str, Any]) -> None:
        reason = ""
        if count > len(self.positional) and self.rest is None:
            reason = f"it takes {len(self.positional)} positional arguments and got {count}"
        for name in kwargs:
            parameter = self.by_name.get(name)
            if parameter is None:
                if self.extra is None or not isinstance(cast("Any", name), str):
                    reason = f"unexpected argument {name!r}"
            elif parameter.position < count:
                reason = f"argument {name!r} was given twice, by position and by name"
        missing = [repr(p.name) for p in self.required if p.position >= count and p.name not in kwargs]
        if missing:
            reason = f"missing argument{'s' if len(missing) > 1 else ''} {', '.join(missing)}"
        if reason:
            raise self._error(reason)

    def _fit(self, parameter: _Parameter, name: str, value: Any) -> Any:
        converter = parameter.converter
        if converter is None or type(value) in converter.exact or (value is None and parameter.none_is_fine):
            return value
        try:
            return converter.validate(value)
        except Exception as error:  # noqa: BLE001 - validators are users' code and raise what they like
            reason = f"argument {name!r} does not fit {converter.expected}: {explain(error)}"
        # Raised out here, so that the validation error, whose text shows the value, is not carried along as context.
        if not self.lenient:
            raise self._error(reason)
        logger.warning("Task %r: %s. The value is passed on as it came.", self.task_name, reason)
        return value

    def _error(self, reason: str) -> ArgumentError:
        return ArgumentError(task_name=self.task_name, reason=reason)


def compile_arguments(
    func: Callable[..., Any], *, injected: Collection[str] = (), cast: Cast = True, task_name: str | None = None
) -> ArgumentBinder:
    """The binder of a function.

    Parameters in `injected` are skipped by positional arguments and never missing; given by name they are taken. `cast` is
    True (strict: what does not fit its annotation is an error; None fits only where the annotation or the default allows it),
    "lenient" (what does not fit is passed on as it came, with a warning; None always fits) or False (no conversion).
    Annotations that cannot be resolved, or of types that pydantic has no schema for, are not applied; one warning says so.

    :raises ConfigurationError: if an injected parameter stands where it could only be passed by position.
    """
    name = task_name or f"{func.__module__}:{getattr(func, '__qualname__', type(func).__qualname__)}"
    try:
        signature = list(inspect.signature(func).parameters.values())
    except ValueError:  # some builtins have none: they check their arguments themselves
        return ArgumentBinder(name, cast == "lenient", (), 0, {}, (), _ANYTHING, _ANYTHING)
    _check_places(name, signature, injected)
    converters = _compile_converters(name, func, signature, injected) if cast else {}
    open_kinds = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    listed = [item for item in signature if item.kind not in open_kinds]
    ordered = [item.name for item in listed if item.kind is not item.KEYWORD_ONLY and item.name not in injected]
    places = {item: place for place, item in enumerate(ordered)}
    ours: dict[str, _Parameter] = {}
    for item in signature:
        none_is_fine = cast == "lenient" or item.default is None
        ours[item.name] = _Parameter(item.name, places.get(item.name, _BY_NAME), converters.get(item.name), none_is_fine)
    first_injected = next((place for place, item in enumerate(listed) if item.name in injected), len(ordered))
    return ArgumentBinder(
        task_name=name,
        lenient=cast == "lenient",
        positional=tuple(ours[item] for item in ordered),
        leading=min(first_injected, len(ordered)),
        by_name={item.name: ours[item.name] for item in listed if item.kind is not item.POSITIONAL_ONLY},
        required=tuple(ours[item.name] for item in listed if item.default is item.empty and item.name not in injected),
        rest=next((ours[item.name] for item in signature if item.kind is item.VAR_POSITIONAL), None),
        extra=next((ours[item.name] for item in signature if item.kind is item.VAR_KEYWORD), None),
    )


def return_adapter(func: Callable[..., Any]) -> TypeAdapter[Any] | None:
    """What `retype` needs to give results of `func` their annotated type back; None where there is nothing to do."""
    hints, _ = resolve_hints(func)
    annotation = hints.get("return", Any)
    if get_origin(annotation) in (Awaitable, Coroutine):
        annotation = get_args(annotation)[-1]
    return None if annotation in (Any, None, type(None)) else _adapter(annotation)


def retype(adapter: TypeAdapter[Any] | None, value: Any) -> Any:
    """`value` as the type of `adapter`; a value that does not fit is returned as it is, with a warning."""
    if adapter is None:
        return value
    try:
        return adapter.validate_python(value)
    except Exception as error:  # noqa: BLE001 - validators are users' code and raise what they like
        logger.warning("A result does not fit the task's return annotation and is left as it is: %s", explain(error))
        return value


def resolve_hints(func: Callable[..., Any]) -> tuple[dict[str, Any], list[str]]:
    """The annotations of a function, a class's constructor or a callable object, and the names of those without meaning here.

    One annotation that cannot be resolved does not spoil the others.
    """
    target = _annotated_part(func)
    try:
        return get_type_hints(target, include_extras=True), []
    except Exception:  # noqa: BLE001 - annotations are evaluated: anything may happen
        hints: dict[str, Any] = {}
        failed: list[str] = []
    for name, annotation in getattr(target, "__annotations__", {}).items():
        alone = types.SimpleNamespace(__annotations__={name: annotation})
        try:
            hints |= get_type_hints(alone, globalns=getattr(target, "__globals__", {}), include_extras=True)
        except Exception:  # noqa: BLE001 - as above
            failed.append(name)
    return hints, failed


def explain(error: BaseException) -> str:
    """Why a value did not fit, without showing the value."""
    if not isinstance(error, ValidationError):
        return f"its validation raised {type(error).__name__}"
    items = error.errors(include_url=False)
    shown = [_explain_one(cast("dict[str, Any]", item)) for item in items[:_SHOWN_ERRORS]]
    if len(items) > _SHOWN_ERRORS:
        shown.append(f"and {len(items) - _SHOWN_ERRORS} more")
    return "; ".join(shown)


def _explain_one(item: Mapping[str, Any]) -> str:
    text = str(item["msg"])
    if item["type"] in ("value_error", "assertion_error"):  # the text of a user's validator may quote the value
        text = text.replace(str(item["input"]), "<value>") if str(item["input"]) else text
    elif item["type"] == "union_tag_invalid":
        text = f"Input should have one of the tags {item['ctx']['expected_tags']}"
    where = ".".join(str(part) for part in item["loc"])
    return f"at {where}: {text}" if where else text


def _check_places(task_name: str, parameters: Sequence[inspect.Parameter], injected: Collection[str]) -> None:
    before = ""
    for item in parameters:
        if item.name in injected:
            before = item.name
        wrong = item.name in injected and item.kind is item.POSITIONAL_ONLY
        if wrong or (before and item.kind is item.VAR_POSITIONAL):
            msg = f"Task {task_name!r}: the dependency {before!r} must be a keyword parameter; move it behind a '*'."
            raise ConfigurationError(reason=msg)


def _compile_converters(
    task_name: str, func: Callable[..., Any], parameters: Sequence[inspect.Parameter], injected: Collection[str]
) -> dict[str, _Converter]:
    hints, unresolved = resolve_hints(func)
    converters: dict[str, _Converter] = {}
    for item in parameters:
        annotation = hints.get(item.name, Any)
        adapter = None if annotation is Any else _adapter(annotation)
        if adapter is not None:
            converters[item.name] = _Converter(_exact_types(annotation), adapter.validate_python, _display(annotation))
        elif annotation is not Any:
            unresolved.append(item.name)
    named = [item.name for item in parameters if item.name in unresolved and item.name not in injected]
    if named:
        logger.warning(
            "Task %r: annotations that cannot be applied, so these arguments are passed on as they come: %s",
            task_name,
            ", ".join(named),
        )
    return converters


def _adapter(annotation: Any) -> TypeAdapter[Any] | None:
    try:
        return TypeAdapter(annotation)
    except Exception:  # noqa: BLE001 - pydantic refuses strange annotations in many ways
        return None


def _exact_types(annotation: Any) -> frozenset[type]:
    members = get_args(annotation) if get_origin(annotation) in (Union, types.UnionType) else (annotation,)
    return frozenset(member for member in members if isinstance(member, type) and get_origin(member) is None)


def _display(annotation: Any) -> str:
    plain = isinstance(annotation, type) and get_origin(annotation) is None
    return annotation.__qualname__ if plain else str(annotation).replace("typing.", "")


def _annotated_part(func: Any) -> Any:
    target = inspect.unwrap(func)
    while isinstance(target, functools.partial):
        target = inspect.unwrap(cast("functools.partial[Any]", target).func)
    if isinstance(target, type):
        return cast("Any", target).__init__
    return target if inspect.isroutine(target) else type(target).__call__
