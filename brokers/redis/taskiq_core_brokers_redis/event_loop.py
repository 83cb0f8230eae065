"""redis-py's asynchronous half needs asyncio."""

import asyncio

from taskiq_core.exceptions import ConfigurationError


def refuse_other_loops() -> None:
    """Call from async code.

    :raises ConfigurationError: on an event loop other than asyncio's (uvloop is one of asyncio's).
    """
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        reason = "The Redis plugins run on asyncio or uvloop only: choose that event loop."
        raise ConfigurationError(reason=reason) from None
