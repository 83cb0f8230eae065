"""Asking something for many at once, and telling the error of one of them from an outage."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar

Item = TypeVar("Item")
Answer = TypeVar("Answer")


async def ask_for_all(
    items: Sequence[Item], ask: Callable[[Sequence[Item]], Awaitable[Sequence[Answer]]], probe: Callable[[], Awaitable[Any]]
) -> list[Answer | Exception]:
    """The answer for each item, or its own error.

    All are asked for in one step. If that fails though `probe` works, they are asked for by halves, down to those that fail by
    themselves, twice; so each may be asked for more than once.

    :raises Exception: if nobody answers; then nothing is known of any item.
    """
    try:
        return [*await ask(items)]
    except TimeoutError:
        raise  # with many halves this could go on for long
    except Exception:  # noqa: BLE001 - a driver may raise anything
        await probe()
    if len(items) > 1:
        middle = len(items) // 2
        return [*await ask_for_all(items[:middle], ask, probe), *await ask_for_all(items[middle:], ask, probe)]
    try:
        return [*await ask(items)]
    except TimeoutError:
        raise
    except Exception as error:  # noqa: BLE001 - as above
        await probe()
        return [error]
