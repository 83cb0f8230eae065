"""Which tasks there are."""

import hashlib
import os
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

from taskiq_core.exceptions import TaskNameConflictError


class Named(Protocol):
    """What the registry needs to know of a task."""

    @property
    def task_name(self) -> str: ...

    @property
    def original_func(self) -> Callable[..., Any]: ...


T = TypeVar("T", bound=Named)


class TaskRegistry(Generic[T]):
    """Tasks by name. Those of `parent` (the shared tasks) are found too; a name of our own wins over it."""

    def __init__(self, parent: "TaskRegistry[T] | None" = None) -> None:
        self._tasks: dict[str, T] = {}
        self._parent = parent

    def add(self, task: T) -> None:
        """Register a task.

        :raises TaskNameConflictError: if another function has the name. The same function again replaces its task, so
            that a module may be imported a second time (reloads, `__main__` and its import name).
        """
        known = self._tasks.get(task.task_name)
        if known is not None and _origin(known.original_func) != _origin(task.original_func):
            raise TaskNameConflictError(task_name=task.task_name, existing=":".join(map(str, _origin(known.original_func))))
        self._tasks[task.task_name] = task

    def find(self, name: str) -> T | None:
        """The task of that name, or None."""
        task = self._tasks.get(name)
        if task is None and self._parent is not None:
            return self._parent.find(name)
        return task

    def all(self) -> Mapping[str, T]:
        """All tasks by name."""
        return {**(self._parent.all() if self._parent else {}), **self._tasks}

    def own(self) -> Iterable[T]:
        """Tasks registered here, without the parent's."""
        return self._tasks.values()


def _origin(func: Callable[..., Any]) -> tuple[str, str, int]:
    code = getattr(func, "__code__", None)
    if code is None:
        return (getattr(func, "__module__", "?"), getattr(func, "__qualname__", repr(func)), 0)
    return (code.co_filename, getattr(func, "__qualname__", "?"), code.co_firstlineno)


def default_task_name(func: Callable[..., Any]) -> str:
    """`module:function`.

    In a script run by path, the module is what a worker would import it as (its path from the working directory with
    dots). A lambda gets a name from its source position, the same in every process.
    """
    module = getattr(func, "__module__", None) or "unknown"
    if module in ("__main__", "__mp_main__"):
        module = _main_module_name()
    name = getattr(func, "__name__", type(func).__name__)
    if name == "<lambda>":
        name = "lambda_" + hashlib.sha256(repr(_origin(func)).encode()).hexdigest()[:32]
    return f"{module}:{name}"


def _main_module_name() -> str:
    main = sys.modules.get("__mp_main__") or sys.modules.get("__main__")
    spec = getattr(main, "__spec__", None)
    if spec is not None and spec.name not in ("__main__", "__mp_main__"):
        return str(spec.name).removesuffix(".__main__")
    path = getattr(main, "__file__", None) or (sys.argv[0] if sys.argv else "")
    if not path:
        return "__main__"
    try:
        relative = Path(path).resolve().relative_to(Path.cwd())
    except ValueError:
        relative = Path(Path(path).name)
    return os.fspath(relative.with_suffix("")).replace(os.sep, ".")
