"""The verdict table: what becomes of a message, by how its delivery ended."""

import enum
from dataclasses import dataclass

from taskiq_core.delivery import Verdict


class Ending(enum.Enum):
    """Every way in which a delivery can end."""

    __hash__ = object.__hash__  # members are single; Enum's own hash is Python code, and the table is asked often

    UNDECODABLE = "body cannot be decoded"
    UNKNOWN_TASK = "task unknown here"
    UNKNOWN_EVERYWHERE = "task unknown, and passed on too often"
    CONDEMNED = "its process died each time it ran alone"
    NO_PROCESS = "no process could be got to run it"
    PARKED = "waits for a limit"
    EXPIRED = "too late to start"
    HOOK_RAISED = "a pre_execute hook raised"
    RETURNED = "returned"
    RETRIED = "raised, retry granted"
    FAILED = "raised, no retry left"
    FAILED_KEEP_COPY = "raised, no retry left, a dead letter is wanted"
    NO_RESULT = "raised NoResultError"
    REJECTED = "Context.reject()"
    REQUEUED = "Context.requeue()"
    CANCELLED = "cancelled by its owner"
    WORKER_STOPPING = "worker stopping, in flight past grace"
    NOT_STARTED = "worker stopping, not started"
    NOT_STORED = "result could not be stored"


@dataclass(frozen=True, slots=True)
class Judgement:
    """What to store and what to tell the broker."""

    stores_result: bool
    verdict: Verdict


_TABLE: dict[Ending, Judgement] = {
    Ending.UNDECODABLE: Judgement(False, Verdict.REJECT),
    Ending.UNKNOWN_TASK: Judgement(False, Verdict.RELEASE),
    Ending.UNKNOWN_EVERYWHERE: Judgement(True, Verdict.REJECT),
    Ending.CONDEMNED: Judgement(True, Verdict.REJECT),
    Ending.NO_PROCESS: Judgement(False, Verdict.RELEASE),
    Ending.PARKED: Judgement(False, Verdict.RELEASE),
    Ending.EXPIRED: Judgement(True, Verdict.ACK),
    Ending.HOOK_RAISED: Judgement(True, Verdict.ACK),
    Ending.RETURNED: Judgement(True, Verdict.ACK),
    Ending.RETRIED: Judgement(False, Verdict.RETRY),
    Ending.FAILED: Judgement(True, Verdict.ACK),
    Ending.FAILED_KEEP_COPY: Judgement(True, Verdict.REJECT),
    Ending.NO_RESULT: Judgement(False, Verdict.ACK),
    Ending.REJECTED: Judgement(True, Verdict.REJECT),
    Ending.REQUEUED: Judgement(False, Verdict.RETRY),
    Ending.CANCELLED: Judgement(True, Verdict.ACK),
    Ending.WORKER_STOPPING: Judgement(False, Verdict.RELEASE),
    Ending.NOT_STARTED: Judgement(False, Verdict.RELEASE),
    Ending.NOT_STORED: Judgement(False, Verdict.RELEASE),
}


def judge(ending: Ending) -> Judgement:
    """The row of the table."""
    return _TABLE[ending]
