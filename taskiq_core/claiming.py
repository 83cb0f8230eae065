"""Claims around a send: asked for and given back."""

import logging
import random
from collections.abc import Awaitable, Iterable, Sequence
from typing import Final, TypeVar
from weakref import WeakKeyDictionary

import anyio

from taskiq_core.abc.coordinator import Coordinator
from taskiq_core.abc.sender import Sender
from taskiq_core.capability import Capability
from taskiq_core.defaults import SEND_TIMEOUT
from taskiq_core.exceptions import ConfigurationError, SendTaskError
from taskiq_core.message import TaskiqMessage

logger = logging.getLogger("taskiq.sending")

T = TypeVar("T")
Pairs = Sequence[tuple[str, str]]
"""Keys and owners."""

GONE_FOR: Final = 7 * 86_400.0
"""Seconds for which it is known that a task was taken out of its queue."""
_GIVE_BACK: Final = 2.0
"""Seconds for giving claims back."""
_ATTEMPTS: Final = 10
_PAUSE: Final = 0.002
"""Seconds that the pauses between attempts begin with."""
_MOST_OWED: Final = 10_000
"""Claims that are kept to be given back; of more the eldest end by their ttl."""

_owed: WeakKeyDictionary[Coordinator, list[tuple[str, str]]] = WeakKeyDictionary()
"""What could not be given back: each sender tries again before it claims anything else."""


def claim_key(kind: str, task_name: str, key: str) -> str:
    """The name of a claim."""
    return f"{kind}:{task_name}:{key}"


async def coordinator_of(broker: Sender, subject: str) -> Coordinator:
    """The shared state of a broker, with no claims left there that were to be given back, if it answers.

    :raises ConfigurationError: if it has none.
    """
    if broker.coordinator is None:
        reason = f"{subject} needs shared state, and {type(broker).__name__} has none: give it a result backend that "
        raise ConfigurationError(reason=f"{reason}is a Coordinator too, or call with_coordinator().")
    if owed := _owed.pop(broker.coordinator, None):
        await give_back(broker.coordinator, owed)
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


async def undisturbed(answer: Awaitable[T]) -> T:
    """The answer to what must not be left half-way: also when cancelled, within the time of a send.

    :raises TimeoutError: if it takes longer.
    """
    with anyio.fail_after(SEND_TIMEOUT, shield=True):
        return await answer


async def pause_before(attempt: int, task_name: str) -> None:
    """Before a claim is tried again that was refused though nobody had it: as others were faster, each time.

    :raises SendTaskError: after ten attempts.
    """
    if attempt >= _ATTEMPTS:
        reason = "the coordinator refuses a claim again and again, and names nobody who has it"
        raise SendTaskError(task_name=task_name, reason=reason, outcome="refused")
    if attempt:
        await anyio.sleep(random.uniform(0, _PAUSE * 2**attempt))


async def give_back(coordinator: Coordinator, pairs: Pairs) -> None:
    """Release claims, though cancelled; what cannot be released is so before the next send, or ends by its ttl."""
    if not pairs:
        return
    why: Exception = TimeoutError("no answer")
    with anyio.move_on_after(_GIVE_BACK, shield=True):
        try:
            await coordinator.release(pairs)
        except Exception as error:  # noqa: BLE001 - what led here matters more
            why = error
        else:
            return
    owed = _owed.setdefault(coordinator, [])
    owed += pairs
    del owed[:-_MOST_OWED]
    logger.warning("Claims could not be given back, which is tried again before the next send: %r", why)


async def send_or_give_back(broker: Sender, coordinator: Coordinator, messages: Sequence[TaskiqMessage], claims: Pairs) -> None:
    """Send; if the messages are certainly not queued, or nobody waits for that any more, the claims are given back."""
    try:
        await broker.send(messages)
    except Exception as error:
        # What is no SendTaskError came from a hook, before the broker was asked.
        if not isinstance(error, SendTaskError) or error.outcome == "refused":
            await give_back(coordinator, claims)
        raise
    except BaseException:
        await _withdraw(broker, coordinator, claims)
        raise


async def _withdraw(broker: Sender, coordinator: Coordinator, claims: Pairs) -> None:
    """Undo a send that was cancelled half-way: what of it is queued is taken out, where the broker can."""
    if claims and broker.admin is not None and Capability.DISCARD in broker.capabilities:
        with anyio.move_on_after(_GIVE_BACK, shield=True):
            try:
                await broker.admin.discard([owner for _, owner in claims])
            except Exception as error:  # noqa: BLE001 - what led here matters more
                logger.warning("A cancelled send could not be undone, its message may run: %r", error)
    await give_back(coordinator, claims)


async def note_gone(coordinator: Coordinator, task_ids: Iterable[str], ttl: float = GONE_FOR) -> None:
    """Say that these tasks were taken out of their queues: the place of a unique one among them is free from now on."""
    marks: dict[str, bytes | None] = {_gone(task_id): b"" for task_id in task_ids}
    if marks:
        await coordinator.put(marks, ttl)


async def back_again(coordinator: Coordinator, task_ids: Iterable[str]) -> frozenset[str]:
    """Which of these tasks, that are to be sent, were taken out of their queues before: from now on they were not."""
    gone = await gone_among(coordinator, task_ids)
    if gone:
        await coordinator.put({_gone(task_id): None for task_id in gone})
    return gone


async def gone_among(coordinator: Coordinator, task_ids: Iterable[str]) -> frozenset[str]:
    """Those of the tasks that were taken out of their queues."""
    ids = set(task_ids)
    marks = await coordinator.get([_gone(task_id) for task_id in ids])
    return frozenset(task_id for task_id in ids if _gone(task_id) in marks)


def _gone(task_id: str) -> str:
    return f"gone:{task_id}"
