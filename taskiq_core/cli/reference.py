"""Which application to run: found without importing it."""

import os
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from taskiq_core.exceptions import ConfigurationError

PYPROJECT = Path("pyproject.toml")


def find_reference(arguments: Sequence[str]) -> tuple[str, tuple[str, ...]]:
    """Tell APP from the modules that follow it.

    The first argument is APP if it has a colon. Otherwise APP is the environment's `TASKIQ_APP`, else `[tool.taskiq] app`
    of ./pyproject.toml, and all arguments are modules.

    :raises ConfigurationError: if nobody names an application, or what is named has not the form `module:attribute`.
    """
    if arguments and ":" in arguments[0]:
        return check_reference(arguments[0]), tuple(arguments[1:])
    configured = os.environ.get("TASKIQ_APP") or _from_pyproject()
    if configured:
        return check_reference(configured), tuple(arguments)
    if arguments:
        return check_reference(arguments[0]), ()
    reason = (
        "No application given. Name one as module:broker, for instance `taskiq worker myapp.tasks:broker`, "
        "or set TASKIQ_APP, or `app` in [tool.taskiq] of pyproject.toml."
    )
    raise ConfigurationError(reason=reason)


def check_reference(reference: str) -> str:
    """Return `reference` if it reads `module:attribute` (or `module:attribute.sub`).

    :raises ConfigurationError: with the likely meaning, where it does not.
    """
    module, colon, attribute = reference.partition(":")
    if "/" in module or os.sep in module or module.endswith(".py"):
        dotted = module.removesuffix(".py").removeprefix("./").replace(os.sep, ".").replace("/", ".")
        reason = f"{reference!r} is a path. Write it as an importable module: {dotted}:{attribute or 'broker'}"
        raise ConfigurationError(reason=reason)
    if not colon or not module or not attribute:
        reason = (
            f"{reference!r} does not say which object to use. Write module:attribute, for instance {module or 'myapp'}:broker"
        )
        raise ConfigurationError(reason=reason)
    return reference


def _from_pyproject() -> str | None:
    if not PYPROJECT.is_file():
        return None
    try:
        table: dict[str, Any] = tomllib.loads(PYPROJECT.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        reason = f"pyproject.toml cannot be read: {error}"
        raise ConfigurationError(reason=reason) from None
    app: Any = table.get("tool", {}).get("taskiq", {}).get("app")
    if app is not None and not isinstance(app, str):
        reason = f"[tool.taskiq] app in pyproject.toml is {app!r}; it must be a string such as 'myapp:broker'"
        raise ConfigurationError(reason=reason)
    return app
