"""The end of a subscription whose broker has leases."""

from collections.abc import Awaitable, Callable
from logging import Logger
from typing import Final

import anyio

from taskiq_core.exceptions import BrokerError

LEAVE_TIMEOUT: Final = 0.4
"""Seconds: with what the worker itself needs to stop it stays below the 2 s that stopping may take beyond the grace."""


async def give_back(
    leave: Callable[[], Awaitable[object]], server: str, lease: float | None, logger: Logger, *, timeout: float = LEAVE_TIMEOUT
) -> None:
    """Call `leave`, which gives back what is held: whoever cancels, and for `timeout` seconds. Else the lease does it.

    :param server: for the warning of that, as in "Redis".
    """
    reason = f"{server} did not answer within {timeout:g} s"
    with anyio.move_on_after(timeout, shield=True):
        try:
            await leave()
        except BrokerError as refusal:
            reason = str(refusal)
        else:
            return
    logger.warning("What this worker holds comes back when its lease ends (%g s). %s", lease, reason)
