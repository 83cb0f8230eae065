"""Import the application that a command was told to run, or say in a sentence why that is impossible."""

import difflib
import importlib
import inspect
import sys
import traceback
from collections.abc import Iterable
from pathlib import Path
from types import ModuleType, TracebackType
from typing import Any

from taskiq_core.broker import AsyncBroker
from taskiq_core.brokers.shared import AsyncSharedBroker
from taskiq_core.cli.reference import check_reference
from taskiq_core.exceptions import ConfigurationError, TaskiqError

_SHOWN_FRAMES = 6


def import_modules(names: Iterable[str]) -> None:
    """Import modules that register tasks.

    :raises ConfigurationError: if one does not exist or fails.
    """
    for name in names:
        _import(name)


def import_object(reference: str) -> Any:
    """The object that `module:attribute` names; the working directory is put on the import path.

    :raises ConfigurationError: if the form is wrong, the module does not exist or fails, or has no such attribute.
    """
    module_name, _, path = check_reference(reference).partition(":")
    module = _import(module_name)
    found: Any = module
    for name in path.split("."):
        try:
            found = getattr(found, name)
        except AttributeError:
            raise ConfigurationError(reason=_missing(module, found, name)) from None
    return found


def load_broker(reference: str) -> AsyncBroker:
    """The broker that `reference` names; a function without parameters that makes one is called.

    :raises ConfigurationError: if it cannot be imported or is no broker that a worker can run on.
    """
    broker = load(reference)
    if not isinstance(broker, AsyncBroker):
        module = sys.modules[reference.partition(":")[0]]
        reason = f"{reference!r} is {describe(broker)}, not a broker.{_brokers_in(module)}"
        raise ConfigurationError(reason=reason)
    return broker


def load(reference: str) -> Any:
    """What `reference` names, or what the function that it names returns.

    :raises ConfigurationError: as `import_object`; also for a function that fails, and for the shared broker.
    """
    found = import_object(reference)
    if inspect.isfunction(found):
        found = _call(reference, found)
    if isinstance(found, AsyncSharedBroker):
        reason = (
            f"{reference!r} is the shared broker, which has no queue of its own. "
            "Run the worker on a real broker whose modules import the shared tasks."
        )
        raise ConfigurationError(reason=reason)
    return found


def _call(reference: str, factory: Any) -> Any:
    if inspect.iscoroutinefunction(factory):
        reason = f"{reference!r} is an async function. A function that makes the broker must be an ordinary one."
        raise ConfigurationError(reason=reason)
    try:
        inspect.signature(factory).bind()
    except TypeError as error:
        reason = f"{reference!r} is a function that cannot be called without arguments: {error}."
        raise ConfigurationError(reason=reason) from None
    try:
        return factory()
    except Exception as error:
        raise ConfigurationError(reason=f"{reference!r} failed:\n{_tail(error)}") from error


def _import(name: str) -> ModuleType:
    cwd = str(Path.cwd())
    if cwd not in sys.path:
        sys.path.insert(0, cwd)
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        # `name` itself or a package above it; anything else is an import that the module makes.
        if error.name and (name == error.name or name.startswith(f"{error.name}.")):
            reason = f"Module {error.name!r} was not found. It must be installed or importable from {cwd}."
            raise ConfigurationError(reason=reason) from None
        raise ConfigurationError(reason=_failed(name, error)) from error
    except (Exception, SystemExit) as error:
        raise ConfigurationError(reason=_failed(name, error)) from error


def _failed(name: str, error: BaseException) -> str:
    return f"Module {name!r} was found, but importing it failed:\n{_tail(error)}"


def _tail(error: BaseException) -> str:
    """The traceback as the user's code made it: without our frames and those of the import machinery, the last few only."""
    calls = list(traceback.walk_tb(_skip_own(error.__traceback__)))
    while isinstance(error, TaskiqError) and calls and calls[-1][0].f_globals.get("__name__", "").startswith("taskiq_core"):
        calls.pop()  # it says what was wrong with the call; where we noticed is of no use
    frames = [frame for frame in traceback.StackSummary.extract(iter(calls)) if "importlib" not in frame.filename]
    lines = [*traceback.format_list(frames[-_SHOWN_FRAMES:]), *traceback.format_exception_only(error)]
    return "".join(lines).rstrip("\n")


def _skip_own(trace: TracebackType | None) -> TracebackType | None:
    while trace is not None and trace.tb_frame.f_code.co_filename == __file__:
        trace = trace.tb_next
    return trace


def _missing(module: ModuleType, owner: Any, name: str) -> str:
    what = f"Module {module.__name__!r}" if owner is module else f"{describe(owner)} in {module.__name__!r}"
    near = difflib.get_close_matches(name, [other for other in dir(owner) if not other.startswith("_")], n=1)
    hint = f" Did you mean {' or '.join(map(repr, near))}?" if near else ""
    return f"{what[0].upper()}{what[1:]} has no attribute {name!r}.{hint}{_brokers_in(module)}"


def _brokers_in(module: ModuleType) -> str:
    names = [
        f"{module.__name__}:{name}"
        for name, value in vars(module).items()
        if isinstance(value, AsyncBroker) and not isinstance(value, AsyncSharedBroker)
    ]
    return f" Brokers in that module: {', '.join(names)}." if names else ""


def describe(value: Any) -> str:
    """What `value` is, for a sentence."""
    if inspect.isclass(value):
        return f"the class {value.__name__}"
    if inspect.ismodule(value):
        return f"the module {value.__name__}"
    if value is None:
        return "None"
    name = type(value).__name__
    return f"{'an' if name[0].lower() in 'aeiou' else 'a'} {name}"
