"""What of a call's arguments tells one from another, as a text: for limits and uniqueness by key."""

import contextlib
import hashlib
import inspect
import string
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NoReturn

from taskiq_core.canonical import Template, canonical
from taskiq_core.exceptions import ArgumentError, ConfigurationError
from taskiq_core.limits import Key
from taskiq_core.marker import find_marker
from taskiq_core.signature import ArgumentBinder, Cast, compile_arguments, resolve_hints

_TEXTS = Template()
_LONGEST = 200
"""Bytes of a key that is kept as it is."""


def storable(key: str) -> str:
    """A text that every store can keep: the key itself, or its digest if it is very long, is no Unicode text or has a NUL."""
    if len(key) <= _LONGEST and key.isascii() and "\0" not in key:
        return key
    raw = key.encode("utf-8", "surrogatepass")  # JSON may hold half a character
    with contextlib.suppress(UnicodeDecodeError):
        if len(raw) <= _LONGEST and b"\0" not in raw:
            return raw.decode()
    return f"sha256:{hashlib.sha256(raw).hexdigest()}"


class KeyTemplate:
    """`template(args, kwargs)` is the key of a message with these arguments; the empty text where there is no key.

    Values are as the function gets them: converted by its annotations, with its defaults; injected parameters are no
    arguments. A function as key gets those arguments that it has parameters for, by name. Sets and dicts have the same text in
    every process, whatever the order of their members.

    :raises ConfigurationError: for a key that names what is no parameter of the task, or cannot be read.
    """

    def __init__(self, key: Key | None, func: Callable[..., Any], *, task_name: str, cast: Cast = True) -> None:
        self._key = key
        self._func = func
        self._task_name = task_name
        self._cast: Cast = cast
        self._wanted = self._names()
        self._bind: ArgumentBinder | None = None
        self._injected = self._check()

    def __call__(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> str:
        """The key, made `storable`.

        :raises ArgumentError: for arguments that do not fit the function, which it would refuse too; or of which no key can
            be made, as a value lacks what the key names, or the key's own function raises.
        """
        if self._key is None:
            return ""
        if self._bind is None:
            self.prepare()
        assert self._bind is not None
        called, named = self._bind(args, kwargs)
        bound = self._signature.bind_partial(*called, **named)
        bound.apply_defaults()
        try:
            return storable(self._make(bound.arguments))
        except Exception as error:
            reason = f"of them its key {self._shown} cannot be made: {type(error).__name__}: {error}"
            raise ArgumentError(task_name=self._task_name, reason=reason) from error

    def _make(self, values: Mapping[str, Any]) -> str:
        assert self._key is not None
        if isinstance(self._key, str):
            return _TEXTS.vformat(self._key, (), values)
        return canonical(self._key(**(values if self._wanted is None else {name: values[name] for name in self._wanted})))

    def prepare(self) -> None:
        """Compile it, as the first call does: not before all classes exist that annotations name.

        :raises ConfigurationError: as the constructor.
        """
        if self._key is None:
            return
        self._injected = self._check()
        self._signature = inspect.signature(self._func)
        if self._wanted is None:
            self._wanted = [name for name in self._signature.parameters if name not in self._injected]
        self._bind = compile_arguments(self._func, injected=self._injected, cast=self._cast, task_name=self._task_name)

    def _names(self) -> list[str] | None:
        """The parameters that the key needs; None for all."""
        if self._key is None:
            return []
        if isinstance(self._key, str):
            named = list(self._fields(self._key))
            if not named:
                self._refuse(
                    "a key needs a parameter in braces, as in '{phone}'. One for all calls has no key;"
                    " one limit for several tasks has a name="
                )
            return named
        try:
            parameters = inspect.signature(self._key).parameters.values()
        except (TypeError, ValueError):
            self._refuse("its parameters are not known: wrap it in a function of your own")
        if inspect.iscoroutinefunction(self._key):
            self._refuse("an async function cannot be asked: make it a plain one")
        if any(item.kind is item.VAR_KEYWORD for item in parameters):
            return None
        return [item.name for item in parameters if item.kind is not item.VAR_POSITIONAL]

    def _fields(self, template: str) -> Iterator[str]:
        try:
            parts = list(string.Formatter().parse(template))
        except ValueError as error:
            self._refuse(f"it cannot be read: {error}")
        for _, field, spec, conversion in parts:
            if conversion not in (None, "", "r", "s", "a"):
                self._refuse(f"there is no conversion !{conversion}, but !r, !s and !a")
            if field is not None:
                yield field.replace("[", ".").partition(".")[0]
                yield from self._fields(spec or "")

    def _check(self) -> frozenset[str]:
        """Compare with the function; returns which parameters are known to be injected."""
        parameters: Mapping[str, inspect.Parameter] = {}
        with contextlib.suppress(ValueError):  # some builtins have none
            parameters = inspect.signature(self._func).parameters
        hints, _ = resolve_hints(self._func)
        marked = {name for name, item in parameters.items() if find_marker(item, hints.get(name, item.annotation))[0]}
        known = [name for name in parameters if name not in marked]
        wrong = next((name for name in self._wanted or () if name not in known), None)
        if wrong is not None:
            what = f"{wrong!r} is injected" if wrong in marked else f"it names {wrong!r}"
            those = f"its arguments are {', '.join(map(repr, known))}" if known else "it has no arguments"
            self._refuse(f"{what}. A key is made of the task's arguments, and {those}")
        return frozenset(marked)

    def _refuse(self, why: str) -> NoReturn:
        raise ConfigurationError(reason=f"Task {self._task_name!r} has the key {self._shown}, but {why}.")

    @property
    def _shown(self) -> str:
        return repr(
            self._key if isinstance(self._key, str) else getattr(self._key, "__qualname__", type(self._key).__qualname__)
        )
