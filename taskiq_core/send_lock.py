"""One sender at a time, for sends that take several steps."""

import random
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final
from uuid import uuid4

import anyio
from anyio.lowlevel import RunVar

from taskiq_core.abc.coordinator import Claim, Coordinator
from taskiq_core.claiming import asked, give_back
from taskiq_core.defaults import SEND_TIMEOUT
from taskiq_core.exceptions import SendTaskError

_DIES: Final = 4.0
"""Seconds until the lock of a sender that died is free: less than the others wait, so that they need not fail. Who takes longer
is no longer alone, and finds what the other has claimed, as the other does."""
_PAUSES: Final = (0.005, 0.1)
"""Seconds between two looks at a lock, growing."""


@dataclass(slots=True)
class _Line:
    """The senders of one key in one event loop. The first in line looks at the lock of the cluster, the others wait for it."""

    first: anyio.Lock = field(default_factory=anyio.Lock)
    members: int = 0


_lines: RunVar[dict[tuple[int, str], _Line]] = RunVar("taskiq_core_send_lines")


@asynccontextmanager
async def alone(coordinator: Coordinator, key: str, task_name: str) -> AsyncGenerator[None, None]:
    """One sender of `key` at a time, in the whole cluster; the others wait. That of a sender that died is free after 4 s.

    Within an event loop they come in the order of their calls.

    :raises SendTaskError: "refused", if others are before it for as long as a send may take.
    """
    name, owner = f"sending:{key}", uuid4().hex
    lines = _lines_here()
    line = lines.setdefault((id(coordinator), name), _Line())
    line.members += 1
    is_first = False
    try:
        try:
            with anyio.fail_after(SEND_TIMEOUT):
                await line.first.acquire()
                is_first = True
                await _lock(coordinator, Claim(name, owner, _DIES), task_name)
        except TimeoutError as error:
            reason = f"others send with the same key, and were before it for {SEND_TIMEOUT:g} s"
            raise SendTaskError(task_name=task_name, reason=reason, outcome="refused") from error
        yield
    finally:
        if is_first:
            await give_back(coordinator, [(name, owner)])
            line.first.release()
        line.members -= 1
        if not line.members:
            del lines[id(coordinator), name]


async def _lock(coordinator: Coordinator, claim: Claim, task_name: str) -> None:
    pause, longest = _PAUSES
    while not (await asked(coordinator.claim([claim]), task_name))[0]:
        await anyio.sleep(random.uniform(pause / 2, pause))
        pause = min(2 * pause, longest)


def _lines_here() -> dict[tuple[int, str], _Line]:
    try:
        return _lines.get()
    except LookupError:
        lines: dict[tuple[int, str], _Line] = {}
        _lines.set(lines)
        return lines
