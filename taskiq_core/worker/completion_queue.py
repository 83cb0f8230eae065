"""What finished goes out: results, verdicts, credit; whatever gathered while the last batch was in flight is the next."""

import logging
from collections.abc import Awaitable, Callable, Sequence

import anyio

from taskiq_core import clock
from taskiq_core.abc.subscription import Subscription
from taskiq_core.broker import AsyncBroker
from taskiq_core.delivery import Delivery
from taskiq_core.exceptions import SendTaskError
from taskiq_core.group_commit import NotFlushedError
from taskiq_core.worker.backoff import Backoff
from taskiq_core.worker.callbacks import Callbacks
from taskiq_core.worker.credit import Credit
from taskiq_core.worker.outcome import Outcome
from taskiq_core.worker.parcel import EarlyAck, Parcel, Step
from taskiq_core.worker.settings import WorkerSettings
from taskiq_core.worker.tracebacks import describe

logger = logging.getLogger("taskiq.worker")

_LAST_ACK = 2.0
"""Seconds that an acknowledgement gets that was on its way when its task was cancelled."""

Failures = list[tuple[Parcel, Exception]]
Settled = Callable[[Sequence[Outcome]], None]
"""Told of outcomes whose verdicts are out, or given up: for what must not happen before. Neither raises nor blocks."""
Ending = Callable[[Sequence[Outcome]], Awaitable[None]]
"""Told of outcomes before anybody sees their results. Must not raise, and holds up all that goes out while it runs."""


class CompletionQueue:
    """Stores results, then settles; or both in one step, where broker and result backend are one store.

    First of all those hear of it whom `ending` tells. Callbacks are sent before their task is settled.

    Each outcome is a parcel that goes from step to step. What fails is kept and tried again with growing pauses, beside
    whatever comes later: results and acknowledgements of finished tasks survive an outage, so that no finished task runs a
    second time because of it, and one parcel that cannot be delivered holds up no other. Only a result that could not be
    stored for `result_retry` seconds gives its message back instead.
    """

    def __init__(
        self,
        broker: AsyncBroker,
        subscription: Subscription,
        credit: Credit,
        settings: WorkerSettings,
        settled: Sequence[Settled] = (),
        *,
        ending: Ending,
    ) -> None:
        self._broker = broker
        self._backend = broker.result_backend
        self._subscription = subscription
        self._credit = credit
        self._patience = settings.result_retry
        self._ending = ending
        self._settled = settled
        self._callbacks = Callbacks(broker)
        self._joint = False
        self._pending: list[Parcel] = []
        self._failed: list[Parcel] = []
        self._backoff = Backoff(logger, "Outcomes go out again")
        self._arrived = anyio.Event()
        self._closed = False
        self.done = anyio.Event()

    def put(self, outcome: Outcome) -> None:
        """Hand over; never blocks."""
        self._add(Parcel(outcome))

    async def ack_now(self, delivery: Delivery) -> None:
        """Acknowledge one delivery ahead of its outcome.

        Cancelling takes it back if it is not on its way. If it is, its end is waited for all the same, for a while: who
        returns has acknowledged, and who was cancelled hears of it at the next `await`.
        """
        ack = EarlyAck(delivery)
        self._add(ack)
        try:
            await ack.sent.wait()
        except anyio.get_cancelled_exc_class():
            if ack in self._pending:
                self._pending.remove(ack)
                raise
            with anyio.move_on_after(_LAST_ACK, shield=True):
                await ack.sent.wait()
            if not ack.sent.is_set():
                raise
        self._credit.acked.add(delivery)

    def _add(self, parcel: Parcel) -> None:
        self._pending.append(parcel)
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
            while self._pending or self._failed or not self._closed:
                if not self._pending:
                    await self._wait()
                batch, self._pending, self._failed = [*self._pending, *self._failed], [], []
                if batch:
                    await self._flush(batch)
        finally:
            self.done.set()

    async def _wait(self) -> None:
        self._arrived = anyio.Event()
        if self._closed and not self._failed:
            return
        if not self._failed:
            await self._arrived.wait()
            return
        with anyio.move_on_after(self._backoff.next()):
            await self._arrived.wait()

    # -- one batch, step by step --------------------------------------------------------------------------------------------

    async def _flush(self, batch: list[Parcel]) -> None:
        self._credit.settling.update([parcel.delivery for parcel in batch])
        await self._ending([parcel.outcome for parcel in batch if parcel.step is Step.PACK])
        for parcel in batch:
            if parcel.step is Step.PACK:
                parcel.calls_back = self._callbacks.wants(parcel.outcome)
                parcel.pack(self._backend, joint=self._joint)
        await self._take(batch, Step.STORE, self._store, self._unstored)
        if self._broker.chain.post_save is not None:
            await self._post_save([parcel for parcel in batch if parcel.step is not Step.STORE and not parcel.together])
        await self._take(batch, Step.CALLBACK, self._call_back, self._uncalled)
        await self._take(batch, Step.SETTLE, self._settle, self._unsettled)
        for parcel in [parcel for parcel in batch if parcel.step is Step.RESEND]:  # one by one: see `_resend`
            await self._take([parcel], Step.RESEND, self._resend, self._unsettled)
        if self._broker.chain.post_save is not None:
            await self._post_save([parcel for parcel in batch if parcel.step is Step.DONE and parcel.together])
        self._finish([parcel for parcel in batch if parcel.step is Step.DONE])
        self._failed = [parcel for parcel in batch if parcel.step is not Step.DONE]
        if not self._failed:
            self._backoff.over()

    async def _take(
        self,
        batch: Sequence[Parcel],
        step: Step,
        act: Callable[[Sequence[Parcel]], Awaitable[None]],
        on_failure: Callable[[Parcel, Exception, bool], None],
    ) -> None:
        due = [parcel for parcel in batch if parcel.step is step]
        if not due:
            return
        failures = await _attempt(due, act)
        if not failures:
            for parcel in due:
                parcel.advance()
            return
        failed = {id(parcel) for parcel, _ in failures}
        for parcel in due:
            if id(parcel) not in failed:
                parcel.advance()
        self._backoff.say(f"{len(failures)} outcomes are kept, as {step.value} fails", failures[0][1])
        for parcel, error in failures:
            parcel.failing_since = parcel.failing_since or clock.monotonic()
            on_failure(parcel, error, len(failures) < len(due))

    async def _store(self, parcels: Sequence[Parcel]) -> None:
        await self._backend.set_results([parcel.stored for parcel in parcels if parcel.stored is not None])

    async def _call_back(self, parcels: Sequence[Parcel]) -> None:
        await self._callbacks.send([parcel.outcome for parcel in parcels])

    async def _settle(self, parcels: Sequence[Parcel]) -> None:
        await self._subscription.settle([parcel.settlement() for parcel in parcels])

    async def _resend(self, parcels: Sequence[Parcel]) -> None:
        # Given one at a time: sending again what has been sent may make a second task.
        for parcel in parcels:
            await self._broker.resend(parcel.body, parcel.delay)

    def _unstored(self, parcel: Parcel, error: Exception, others_went: bool) -> None:
        # What alone among others cannot be stored has a value that its backend refuses; so has what an outage of any
        # length does not explain.
        late = parcel.failing_for() > self._patience
        odd = others_went and not isinstance(error, OSError | TimeoutError)
        if (late or odd) and parcel.replace_value(self._backend, error):
            return
        if late:
            logger.error("A result could not be stored for %g s: its task is given back. %r", self._patience, error)
            parcel.give_back()

    def _uncalled(self, parcel: Parcel, error: Exception, others_went: bool) -> None:
        outage = isinstance(error, SendTaskError) and (
            error.outcome != "refused" or isinstance(error.__cause__, NotFlushedError)
        )
        refused = isinstance(error, SendTaskError) and not outage
        if refused or (parcel.failing_for() > self._patience and (others_went or not outage)):
            task_id = "?" if parcel.outcome.message is None else parcel.outcome.message.task_id
            logger.error("The callback of task %s is given up, it cannot be sent: %s", task_id, describe(error))
            parcel.advance()

    def _unsettled(self, parcel: Parcel, error: Exception, others_went: bool) -> None:
        if others_went and parcel.failing_for() > self._patience:
            logger.error("A verdict is given up, its message comes back when its lease ends: %r", error)
            parcel.step = Step.DONE

    async def _post_save(self, parcels: Sequence[Parcel]) -> None:
        async with anyio.create_task_group() as hooks:
            for parcel in parcels:
                hooks.start_soon(self._run_post_save, parcel)

    async def _run_post_save(self, parcel: Parcel) -> None:
        outcome = parcel.take_saved()
        hook = self._broker.chain.post_save
        if hook is not None and outcome is not None and outcome.message is not None and outcome.result is not None:
            await hook(outcome.message, outcome.result)

    def _finish(self, parcels: Sequence[Parcel]) -> None:
        outcomes: list[Outcome] = []
        for parcel in parcels:
            if isinstance(parcel, EarlyAck):
                parcel.sent.set()
                self._credit.settling.discard(parcel.delivery)
            else:
                outcomes.append(parcel.outcome)
        forgotten = [parcel.delivery for parcel in parcels if parcel.outcome.manual and parcel.is_left_to_its_lease]
        if forgotten:
            self._subscription.forget(forgotten)
        self._credit.give_back([outcome.delivery for outcome in outcomes])
        if outcomes:
            for tell in self._settled:
                tell(outcomes)


async def _attempt(parcels: list[Parcel], act: Callable[[Sequence[Parcel]], Awaitable[None]]) -> Failures:
    """All in one step; if that fails, one by one, until it is plain that nothing works."""
    try:
        await act(parcels)
    except Exception as error:  # noqa: BLE001 - a driver may raise anything; each is tried again
        if len(parcels) == 1:
            return [(parcels[0], error)]
    else:
        return []
    # Those that have failed longest go last, so that they cannot make everything look broken for ever.
    parcels.sort(key=Parcel.failing_for)
    failures: Failures = []
    for place, parcel in enumerate(parcels):
        try:
            await act([parcel])
        except Exception as error:  # noqa: BLE001 - as above
            failures.append((parcel, error))
            if place == 1 and len(failures) == 2:
                failures += [(other, error) for other in parcels[2:]]
                break
    return failures
