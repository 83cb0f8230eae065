"""The base of all errors: a text with named fields, which survive the wire."""

import inspect
import string
from typing import Any, ClassVar


class TaskiqError(Exception):
    """Base of all errors of the framework.

    :raises TypeError: at construction, for an undeclared or a missing field.
    :raises ValueError: at class creation, for a template field that has no annotation.
    """

    __template__: ClassVar[str] = "Exception occurred"
    __fields__: ClassVar[tuple[str, ...]] = ()

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        fields: dict[str, None] = {}
        for base in reversed(cls.__mro__):
            for name in inspect.get_annotations(base):
                if not name.startswith("__"):
                    fields[name] = None
        used = {name.split(".")[0].split("[")[0] for _, name, _, _ in string.Formatter().parse(cls.__template__) if name}
        unknown = sorted(used - fields.keys())
        if unknown:
            msg = f"{cls.__name__}: fields of the template that have no annotation: {', '.join(unknown)}"
            raise ValueError(msg)
        cls.__fields__ = tuple(fields)

    def __init__(self, *args: Any, **fields: Any) -> None:
        if args:
            # A message given as is: what `raise SomeError("text")` means everywhere else in Python.
            super().__init__(*args)
            self.__dict__.update(fields)
            return
        undeclared = fields.keys() - set(self.__fields__)
        if undeclared:
            msg = "Undeclared arguments: " + ", ".join(repr(name) for name in sorted(undeclared))
            raise TypeError(msg)
        missing = [name for name in self.__fields__ if name not in fields and not hasattr(type(self), name)]
        if missing:
            msg = "Missing arguments: " + ", ".join(repr(name) for name in missing)
            raise TypeError(msg)
        self.__dict__.update(fields)
        shown = {name: getattr(self, name) for name in self.__fields__}
        super().__init__(self.__template__.format(**shown))

    def __repr__(self) -> str:
        fields = ", ".join(f"{name}={getattr(self, name)!r}" for name in self.__fields__ if hasattr(self, name))
        return f"{type(self).__name__}({fields or repr(str(self))})"

    def __reduce__(self) -> Any:
        return (_rebuild, (type(self), self.args, dict(self.__dict__)))


def _rebuild(cls: type[TaskiqError], args: tuple[Any, ...], fields: dict[str, Any]) -> TaskiqError:
    error = cls.__new__(cls, *args)
    error.__dict__.update(fields)
    return error
