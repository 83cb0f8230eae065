"""How long a plugin tries to reach its server, and to send to it. For plugins whose drivers need asyncio."""

import asyncio
import math
import random
from collections.abc import Awaitable, Callable
from typing import TypeVar

from taskiq_core.exceptions import SendTaskError
from taskiq_core.group_commit import seconds_left
from taskiq_core.server_error import ServerError

T = TypeVar("T")
E = TypeVar("E", bound=ServerError)

_PAUSE = 0.1
"""Seconds between two tries of a send, at the most."""
_MARGIN = 0.1
"""Seconds that an answer needs to those who wait for it."""
_START_PAUSE = 0.25
"""Seconds between two tries to reach a server at the start."""


def patience_for(most: float, *, send_timeout: float, lease: float = math.inf) -> float:
    """Seconds without an answer after which a connection is given up: `most`, or less.

    So that a send finds time for another one, and one that hangs is noticed while most of the lease is left.
    """
    return min(most, 0.6 * send_timeout, max(1.0, lease / 4))


async def reach(connect: Callable[[], Awaitable[T]], seconds: float, silence: ServerError) -> T:
    """What `connect` returns; tried for so long, as a program may start a moment before its server.

    :raises ServerError: the last one of those that pass, and at once any other; `silence` if no try has ended.
    """
    failure: ServerError | None = None
    try:
        async with asyncio.timeout(seconds):
            while True:
                try:
                    return await connect()
                except ServerError as error:
                    if not error.passing:
                        raise
                    failure = error
                await asyncio.sleep(_START_PAUSE)
    except TimeoutError:
        raise given_up(failure or silence, seconds) from failure


def given_up(failure: E, seconds: float) -> E:
    """The error of a start that has tried for so long: it says what to do."""
    reason = f"{failure.reason.rstrip('.')}. Tried for {seconds:g} s: is it running, and is the address right?"
    return type(failure)(reason=reason, certain=failure.certain, passing=failure.passing)


def seconds_to_answer(timeout: float) -> float:
    """Seconds that a send has: `timeout`, or less in a batch; whoever waits for that hears in time how it ended."""
    return min(timeout, seconds_left()) - _MARGIN


def _never() -> bool:
    return False


async def send_until_accepted(
    attempt: Callable[[], Awaitable[None]],
    timeout: float,
    server: str,
    *,
    first_takes: float = math.inf,
    repeats_doubtful: bool = True,
    was_unsent: Callable[[], bool] = _never,
) -> None:
    """Call `attempt` until it succeeds, its error is none that passes, or `seconds_to_answer(timeout)` are over.

    :param server: for the text of an error, as in "Redis at localhost:6379".
    :param first_takes: seconds in which the first try ends by itself, whatever happens; saves it a deadline of its own.
    :param repeats_doubtful: False where the server may take a message twice: what it may have taken is not sent again then.
    :param was_unsent: asked if the time ends during a try; True says that this one has certainly not taken effect.
    :raises SendTaskError: its outcome is "unknown" if one of the tries may have taken effect.
    """
    limit = seconds_to_answer(timeout)
    deadline = asyncio.get_running_loop().time() + limit
    failure: ServerError | None = None
    if first_takes < limit:
        try:
            return await attempt()
        except ServerError as error:
            failure = error
    certain, trying = failure is None or failure.certain, False
    try:
        async with asyncio.timeout_at(deadline):
            while failure is None or (failure.passing and (certain or repeats_doubtful)):
                if failure is not None:
                    await asyncio.sleep(random.uniform(_PAUSE / 2, _PAUSE))
                trying = True
                try:
                    return await attempt()
                except ServerError as error:
                    failure, certain, trying = error, certain and error.certain, False
    except TimeoutError:
        certain = certain and (not trying or was_unsent())
    reason = f"{server} did not answer within {limit:.1f} s." if failure is None else failure.reason
    raise SendTaskError(reason=reason, outcome="refused" if certain else "unknown") from failure
