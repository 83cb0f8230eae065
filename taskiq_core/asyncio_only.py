"""For plugins whose drivers need asyncio."""

import asyncio

from taskiq_core.exceptions import ConfigurationError


def require_asyncio(server: str) -> None:
    """Call from async code, with the name of the plugins' server.

    :raises ConfigurationError: on an event loop other than asyncio's (uvloop is one of asyncio's).
    """
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        reason = f"The {server} plugins run on asyncio or uvloop only: choose that event loop."
        raise ConfigurationError(reason=reason) from None
