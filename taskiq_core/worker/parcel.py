"""One outcome on its way out: which step is next, and since when that step fails."""

import enum
import logging
from typing import Any

import anyio

from taskiq_core import clock
from taskiq_core.abc.result_backend import AsyncResultBackend
from taskiq_core.dead_bounds import REASON_BYTES, shortened
from taskiq_core.dead_detail import DeadDetail
from taskiq_core.delivery import Delivery, Settlement, StoredResult, Verdict
from taskiq_core.exceptions import ResultNotSerializableError
from taskiq_core.result import TaskiqResult
from taskiq_core.worker.outcome import Outcome
from taskiq_core.worker.tracebacks import describe
from taskiq_core.worker.verdicts import Ending, judge

logger = logging.getLogger("taskiq.worker")


class Step(enum.Enum):
    """What is to be done next; the value completes "as ... fails"."""

    PACK = "packing"
    STORE = "storing results"
    CALLBACK = "sending callbacks"
    SETTLE = "settling"
    RESEND = "sending a retry"
    DONE = "nothing"


class Parcel:
    """Goes PACK → STORE (where results live elsewhere) → CALLBACK (where there is one) → SETTLE or RESEND → DONE."""

    __slots__ = ("_saved", "calls_back", "delivery", "failing_since", "outcome", "replaced", "step", "stored", "together")

    def __init__(self, outcome: Outcome) -> None:
        self.outcome = outcome
        self.delivery = outcome.delivery
        self.step = Step.PACK
        self.stored: StoredResult | None = None
        self.together = False
        self.calls_back = False
        """True if a callback is to hear of this end."""
        self.replaced = False
        self.failing_since: float | None = None
        self._saved = False

    # -- facts ----------------------------------------------------------------------------------------------------------------

    @property
    def verdict(self) -> Verdict:
        """By the table."""
        return judge(self.outcome.ending).verdict

    @property
    def is_settled(self) -> bool:
        """Whether the broker is told anything."""
        return not self.outcome.acked and not self.is_left_to_its_lease

    @property
    def is_left_to_its_lease(self) -> bool:
        """A manual message that its task has not acknowledged."""
        return self.outcome.manual and not self.outcome.acked and self.verdict is Verdict.ACK

    @property
    def is_resent(self) -> bool:
        """What was acknowledged before its run the broker cannot deliver again: a retry is a new send."""
        return self.outcome.acked and self.verdict is Verdict.RETRY and self.outcome.body is not None

    @property
    def body(self) -> bytes:
        """The message as it shall be sent again."""
        return self.outcome.body or self.delivery.body

    @property
    def delay(self) -> float | None:
        """Seconds until then."""
        return self.outcome.delay

    def failing_for(self) -> float:
        """Seconds since its step first failed; 0 if it has not."""
        return 0.0 if self.failing_since is None else clock.monotonic() - self.failing_since

    # -- steps ----------------------------------------------------------------------------------------------------------------

    def pack(self, backend: AsyncResultBackend[Any], *, joint: bool) -> None:
        """Serialise the result, if there is one to store."""
        outcome = self.outcome
        wanted = outcome.store and outcome.result is not None and judge(outcome.ending).stores_result
        if wanted and outcome.message is not None and backend.keeps_results:
            assert outcome.result is not None
            try:
                self.stored = backend.pack(outcome.message.task_id, outcome.result, outcome.result_ttl)
            except Exception as refusal:  # noqa: BLE001 - whatever a codec or a value's own code raises
                self.replace_value(backend, refusal)
        self.together = joint and self.stored is not None and self.is_settled
        self.step = Step.STORE if self.stored is not None and not self.together else self._after_store()

    def _after_store(self) -> Step:
        # What comes back without a word has not ended, whatever it returned.
        return Step.CALLBACK if self.calls_back and not self.is_left_to_its_lease else self._after_callback()

    def _after_callback(self) -> Step:
        if self.is_settled:
            return Step.SETTLE
        return Step.RESEND if self.is_resent else Step.DONE

    def advance(self) -> None:
        """The step has succeeded."""
        self.failing_since = None
        if self.step is Step.STORE:
            self.step = self._after_store()
        else:
            self.step = self._after_callback() if self.step is Step.CALLBACK else Step.DONE

    def settlement(self) -> Settlement:
        """What the broker is told."""
        outcome = self.outcome
        result = self.stored if self.together else None
        verdict = self.verdict
        detail, reason = (_detail(outcome) if verdict is Verdict.REJECT else None), outcome.reason
        if reason is not None:
            reason = shortened(reason, REASON_BYTES)
        return Settlement(self.delivery, verdict, outcome.delay, reason, outcome.body, result, outcome.park, detail)

    def replace_value(self, backend: AsyncResultBackend[Any], refusal: Exception) -> bool:
        """Store an error in the place of a value that cannot be stored; False if that has been tried."""
        outcome = self.outcome
        if self.replaced or outcome.message is None or outcome.result is None:
            return False
        self.replaced = True
        reason = refusal.reason if isinstance(refusal, ResultNotSerializableError) else f"{type(refusal).__name__}: {refusal}"
        error = ResultNotSerializableError(task_name=outcome.message.task_name, reason=reason)
        logger.error("%s", error)
        seconds = outcome.result.execution_time
        outcome.result = TaskiqResult(is_err=True, return_value=None, error=error, execution_time=seconds)
        self.stored = backend.pack(outcome.message.task_id, outcome.result, outcome.result_ttl)
        return True

    def give_back(self) -> None:
        """The result will not be stored: let another worker have the message."""
        self.outcome.ending = Ending.NOT_STORED
        self.stored = None
        self.calls_back = False
        self.step = self._after_store()
        self.failing_since = None

    def take_saved(self) -> Outcome | None:
        """The outcome, once, if its result is stored: for `post_save`."""
        if self._saved or self.stored is None or self.outcome.message is None:
            return None
        self._saved = True
        return self.outcome


def _detail(outcome: Outcome) -> bytes | None:
    if outcome.result is None or outcome.result.error is None:
        return None
    return DeadDetail(describe(outcome.result.error), outcome.result.traceback).pack()


class EarlyAck(Parcel):
    """An acknowledgement ahead of its outcome."""

    __slots__ = ("sent",)

    def __init__(self, delivery: Delivery) -> None:
        super().__init__(Outcome(delivery, Ending.NO_RESULT))
        self.step = Step.SETTLE
        self.sent = anyio.Event()
