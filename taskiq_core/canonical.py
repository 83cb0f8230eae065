"""Texts of values that are the same in every process."""

import string
from collections.abc import Callable, Mapping, Sequence, Set
from typing import Any, cast


def canonical(value: object) -> str:
    """`str()` of it; but the members of sets and dicts stand in an order of their own, also within lists and tuples.

    Other objects have the text that their classes give them.
    """
    return _text(value, str)


def _text(value: object, other: Callable[[object], str]) -> str:
    match value:
        case Set():
            return f"{{{', '.join(sorted(map(_member, cast('Set[object]', value))))}}}"
        case Mapping():
            pairs = cast("Mapping[object, object]", value).items()
            return f"{{{', '.join(sorted(f'{_member(key)}: {_member(item)}' for key, item in pairs))}}}"
        case list() | tuple():
            members = ", ".join(map(_member, cast("Sequence[object]", value)))
            return f"[{members}]" if isinstance(value, list) else f"({members})"
        case _:
            return other(value)


def _member(value: object) -> str:
    return _text(value, repr)


class Template(string.Formatter):
    """`str.format` with canonical texts."""

    def convert_field(self, value: Any, conversion: Any) -> Any:
        """A container is its text, whatever the conversion."""
        plain = not isinstance(value, (Set, Mapping, list, tuple))
        return super().convert_field(value, conversion) if plain else canonical(cast("object", value))
