"""Small helpers without a better home."""

import inspect
from collections.abc import Awaitable
from typing import TypeVar, cast

T = TypeVar("T")


async def maybe_awaitable(value: T | Awaitable[T]) -> T:
    """The value itself, awaited first if it is awaitable: what a hook that may be sync or async returned."""
    if inspect.isawaitable(value):
        return await cast("Awaitable[T]", value)
    return cast("T", value)
