"""What a result backend makes of the errors of its store."""

from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager
from typing import ParamSpec, TypeVar

import anyio

from taskiq_core import clock
from taskiq_core.exceptions import BrokerError, ResultBackendError, ResultGetError, ResultSetError, ResultStoreAwayError
from taskiq_core.server_error import ServerError

P = ParamSpec("P")
T = TypeVar("T")

_OUTAGE = 60.0
"""Seconds that a caller who waits for results sits out while their server cannot be reached."""
_PAUSE = 0.25
"""Seconds between two tries."""


@contextmanager
def as_result_error(kind: type[ResultBackendError]) -> Generator[None]:
    """Raise the store's errors in the block as an error of the result backend.

    `ResultSetError` becomes `ResultStoreAwayError` where the error passes: that says nothing of the result.
    """
    try:
        yield
    except BrokerError as error:
        is_away = kind is ResultSetError and isinstance(error, ServerError) and error.passing
        raise (ResultStoreAwayError if is_away else kind)(str(error)) from error


def patiently(fetch: Callable[P, Awaitable[T]]) -> Callable[P, Awaitable[T]]:
    """`fetch`, for `SharedWait`: an error that passes is waited out, for so long as an outage may last.

    What it returns raises `ResultGetError` for other errors of the server, and for one that has lasted too long.
    """

    async def fetch_patiently(*args: P.args, **kwargs: P.kwargs) -> T:
        begin = clock.monotonic()
        while True:
            try:
                return await fetch(*args, **kwargs)
            except ServerError as error:
                if not error.passing or clock.monotonic() - begin > _OUTAGE:
                    raise ResultGetError(str(error)) from error
                await anyio.sleep(_PAUSE)

    return fetch_patiently
