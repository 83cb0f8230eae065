"""How a suite is held against a store that lies."""

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest


def in_memory(contract: type[Any], store: Callable[[], Any]) -> type[Any]:
    """The suite of one store."""

    @asynccontextmanager
    async def fresh_store(_: Any) -> AsyncGenerator[Callable[[], Any], None]:
        yield store

    return type("Suite", (contract,), {"fresh_store": fresh_store, "shared": False})


def assert_caught(contract: type[Any], liar: type[Any], law: str) -> None:
    """The law fails the liar, and says so."""
    suite = in_memory(contract, liar)()
    suite.deadline = 2.0
    with pytest.raises(AssertionError) as caught:
        getattr(suite, f"test_{law}")("asyncio")
    assert any(note.startswith("The law: ") for note in caught.value.__notes__)
