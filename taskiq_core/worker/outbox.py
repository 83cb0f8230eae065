"""What finished goes out: results, verdicts, credit; whatever gathered while the last batch was in flight is the next."""

import logging
import time
from collections.abc import Sequence
from typing import Any

import anyio

from taskiq_core.abc.subscription import Subscription
from taskiq_core.broker import AsyncBroker
from taskiq_core.delivery import Delivery, Settlement, StoredResult, Verdict
from taskiq_core.exceptions import ResultNotSerializableError
from taskiq_core.result import TaskiqResult
from taskiq_core.worker.backoff import Backoff
from taskiq_core.worker.credit import Credit
from taskiq_core.worker.outcome import Outcome
from taskiq_core.worker.settings import WorkerSettings
from taskiq_core.worker.verdicts import Ending, judge

logger = logging.getLogger("taskiq.worker")


class Outbox:
    """Stores results, then settles; or both in one step, where broker and result backend are one store.

    A store or a broker that fails is tried again: results and acknowledgements of finished tasks are kept, so that no
    finished task runs a second time because of it. Only a result that could not be stored for `result_retry` seconds gives
    its message back instead.
    """

    def __init__(self, broker: AsyncBroker, subscription: Subscription, credit: Credit, settings: WorkerSettings) -> None:
        self._broker = broker
        self._backend = broker.result_backend
        self._subscription = subscription
        self._credit = credit
        self._settings = settings
        self._joint = False
        self._pending: list[Outcome] = []
        self._arrived = anyio.Event()
        self._closed = False
        self.done = anyio.Event()

    def put(self, outcome: Outcome) -> None:
        """Hand over; never blocks."""
        self._pending.append(outcome)
        if len(self._pending) == 1:
            self._arrived.set()

    def close(self) -> None:
        """`run` ends when everything is out."""
        self._closed = True
        self._arrived.set()

    async def run(self) -> None:
        """Flush until closed and empty; sets `done` at the end."""
        self._joint = self._subscription.stores_results_of(self._backend)
        try:
            while self._pending or not self._closed:
                if not self._pending:
                    self._arrived = anyio.Event()
                    await self._arrived.wait()
                batch, self._pending = self._pending, []
                if batch:
                    await self._flush(batch)
        finally:
            self.done.set()

    async def ack_now(self, delivery: Delivery) -> None:
        """Acknowledge one delivery ahead of its outcome."""
        await self._settle([Settlement(delivery, Verdict.ACK)])

    async def _flush(self, batch: list[Outcome]) -> None:
        self._credit.settling.update(outcome.delivery for outcome in batch)
        results = self._pack(batch)
        together = {outcome: item for outcome, item in results.items() if self._joint and _is_settled(outcome)}
        apart = {outcome: item for outcome, item in results.items() if outcome not in together}
        if apart and not await self._store(list(apart.values())):
            for outcome in apart:
                outcome.ending = Ending.NOT_STORED
        if self._broker.chain.post_save is not None and not together:
            await self._post_save(results)
        await self._settle([_settlement(outcome, together.get(outcome)) for outcome in batch if _is_settled(outcome)])
        if self._broker.chain.post_save is not None and together:
            await self._post_save(results)
        await self._send_again([outcome for outcome in batch if outcome.acked])
        self._credit.give_back([outcome.delivery for outcome in batch])

    async def _send_again(self, acked: Sequence[Outcome]) -> None:
        # What was acknowledged before its run the broker cannot deliver again: a retry is a new send.
        backoff = Backoff()
        for outcome in acked:
            while judge(outcome.ending).verdict is Verdict.RETRY and outcome.body is not None:
                try:
                    await self._broker.resend(outcome.body, outcome.delay)
                except Exception as error:  # noqa: BLE001 - kept and sent when the broker is back
                    await backoff.sleep(logger, "A retry cannot be sent, trying again", error)
                else:
                    break

    def _pack(self, batch: list[Outcome]) -> dict[Outcome, StoredResult]:
        if not self._backend.keeps_results:
            return {}
        packed: dict[Outcome, StoredResult] = {}
        for outcome in batch:
            if outcome.store and outcome.result is not None and judge(outcome.ending).stores_result:
                packed[outcome] = self._pack_one(outcome, outcome.result)
        return packed

    def _pack_one(self, outcome: Outcome, result: TaskiqResult[Any]) -> StoredResult:
        message = outcome.message
        assert message is not None
        try:
            return self._backend.pack(message.task_id, result, outcome.result_ttl)
        except Exception as refusal:  # noqa: BLE001 - whatever a codec or a value's own code raises
            reason = refusal.reason if isinstance(refusal, ResultNotSerializableError) else repr(refusal)
            error = ResultNotSerializableError(task_name=message.task_name, reason=reason)
            logger.error("%s", error)
            outcome.result = TaskiqResult(is_err=True, return_value=None, error=error, execution_time=result.execution_time)
            return self._backend.pack(message.task_id, outcome.result, outcome.result_ttl)

    async def _store(self, results: Sequence[StoredResult]) -> bool:
        deadline = time.monotonic() + self._settings.result_retry
        backoff = Backoff()
        while True:
            try:
                await self._backend.set_results(results)
            except Exception as error:  # noqa: BLE001 - a driver may raise anything; each is tried again
                if time.monotonic() >= deadline:
                    logger.error("%d results could not be stored for %g s; their tasks are given back: %r",
                                 len(results), self._settings.result_retry, error)  # fmt: skip
                    return False
                await backoff.sleep(logger, f"{len(results)} results cannot be stored, trying again", error)
            else:
                return True

    async def _post_save(self, results: dict[Outcome, StoredResult]) -> None:
        for outcome in results:
            if outcome.ending is not Ending.NOT_STORED and outcome.message is not None and outcome.result is not None:
                await self._broker.chain.post_save(outcome.message, outcome.result)  # type: ignore[misc]

    async def _settle(self, settlements: Sequence[Settlement]) -> None:
        backoff = Backoff()
        while settlements:
            try:
                await self._subscription.settle(settlements)
            except Exception as error:  # noqa: BLE001 - kept and sent when the broker is back
                await backoff.sleep(logger, f"{len(settlements)} verdicts cannot be sent, trying again", error)
            else:
                return


def _is_settled(outcome: Outcome) -> bool:
    if outcome.acked:
        return False
    return not outcome.manual or judge(outcome.ending).verdict is not Verdict.ACK


def _settlement(outcome: Outcome, result: StoredResult | None) -> Settlement:
    verdict = judge(outcome.ending).verdict
    return Settlement(outcome.delivery, verdict, outcome.delay, outcome.reason, outcome.body, result)
