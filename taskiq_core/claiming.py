"""Claims around a send: asked for, given back, and a lock for what takes several steps."""

import hashlib
import logging
import random
from collections.abc import AsyncGenerator, Awaitable, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import Final, TypeVar
from uuid import uuid4

import anyio

from taskiq_core.abc.coordinator import Claim, Coordinator
from taskiq_core.abc.sender import Sender
from taskiq_core.exceptions import ConfigurationError, SendTaskError
from taskiq_core.message import TaskiqMessage

logger = logging.getLogger("taskiq.sending")

T = TypeVar("T")
Pairs = Sequence[tuple[str, str]]
"""Keys and owners."""

GONE_FOR: Final = 7 * 86_400.0
"""Seconds for which it is known that a task was taken out of its queue."""
_LOCK: Final = 15.0
"""Seconds until the lock of a sender that died is free."""
_GIVE_BACK: Final = 2.0
"""Seconds for giving claims back; later they end by themselves."""
_PAUSES: Final = (0.005, 0.1)
"""Seconds between two looks at a lock, growing."""
_LONGEST_KEY: Final = 200


def claim_key(kind: str, task_name: str, key: str) -> str:
    """The name of a claim; of a long key only a digest is in it."""
    if len(key) > _LONGEST_KEY:
        key = f"sha256-{hashlib.sha256(key.encode(errors='surrogatepass')).hexdigest()}"
    return f"{kind}:{task_name}:{key}"


def coordinator_of(broker: Sender, subject: str) -> Coordinator:
    """The shared state of a broker.

    :raises ConfigurationError: if it has none.
    """
    if broker.coordinator is None:
        reason = f"{subject} needs shared state, and {type(broker).__name__} has none: give it a result backend that "
        raise ConfigurationError(reason=f"{reason}is a Coordinator too, or call with_coordinator().")
    return broker.coordinator


async def asked(answer: Awaitable[T], task_name: str, outcome: str = "refused") -> T:
    """The answer of a coordinator.

    :raises SendTaskError: in place of its error; `outcome` is that of the message.
    """
    try:
        return await answer
    except Exception as error:
        reason = f"the coordinator does not answer: {type(error).__name__}: {error}"
        raise SendTaskError(task_name=task_name, reason=reason, outcome=outcome) from error


async def give_back(coordinator: Coordinator, pairs: Pairs) -> None:
    """Release claims, though cancelled; what cannot be released ends by itself."""
    if not pairs:
        return
    with anyio.move_on_after(_GIVE_BACK, shield=True):
        try:
            await coordinator.release(pairs)
        except Exception as error:  # noqa: BLE001 - what led here matters more
            logger.warning("Claims could not be given back and end by their ttl: %r", error)


async def send_or_give_back(broker: Sender, coordinator: Coordinator, messages: Sequence[TaskiqMessage], claims: Pairs) -> None:
    """Send; if the messages are certainly not queued, the claims are given back."""
    try:
        await broker.send(messages)
    except Exception as error:
        # What is no SendTaskError came from a hook, before the broker was asked.
        if not isinstance(error, SendTaskError) or error.outcome == "refused":
            await give_back(coordinator, claims)
        raise


@asynccontextmanager
async def alone(coordinator: Coordinator, key: str, task_name: str) -> AsyncGenerator[None, None]:
    """One sender at a time, in the whole cluster; the others wait. That of a sender that died is free after 15 s."""
    name, owner = f"sending:{key}", uuid4().hex
    pause, longest = _PAUSES
    try:
        while not (await asked(coordinator.claim([Claim(name, owner, _LOCK)]), task_name))[0]:
            await anyio.sleep(random.uniform(pause / 2, pause))
            pause = min(2 * pause, longest)
        yield
    finally:
        await give_back(coordinator, [(name, owner)])


async def note_gone(coordinator: Coordinator, task_ids: Iterable[str]) -> None:
    """Say that these tasks were taken out of their queues: the place of a unique one among them is free from now on."""
    marks: dict[str, bytes | None] = {_gone(task_id): b"" for task_id in task_ids}
    if marks:
        await coordinator.put(marks, GONE_FOR)


async def gone_among(coordinator: Coordinator, task_ids: Iterable[str]) -> frozenset[str]:
    """Those of the tasks that were taken out of their queues."""
    ids = set(task_ids)
    marks = await coordinator.get([_gone(task_id) for task_id in ids])
    return frozenset(task_id for task_id in ids if _gone(task_id) in marks)


def _gone(task_id: str) -> str:
    return f"gone:{task_id}"
