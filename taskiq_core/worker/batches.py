"""Messages of tasks that take batches: gathered, and run together."""

import logging
import math

import anyio

from taskiq_core.batch import Batch
from taskiq_core.broker import AsyncBroker
from taskiq_core.context import Context
from taskiq_core.delivery import Delivery
from taskiq_core.message import TaskiqMessage
from taskiq_core.retry import seconds
from taskiq_core.worker.batch_invocation import BatchInvocation
from taskiq_core.worker.credit import Credit
from taskiq_core.worker.execution import Execution
from taskiq_core.worker.inbox import Inbox
from taskiq_core.worker.isolation import drive
from taskiq_core.worker.meeting import Gathered, Meeting, Member
from taskiq_core.worker.outcome import Outcome
from taskiq_core.worker.refusals import Refusals
from taskiq_core.worker.reports import Reports
from taskiq_core.worker.slot import Slot
from taskiq_core.worker.stopping import forget_own_cancellation, is_stopped
from taskiq_core.worker.verdicts import Ending

logger = logging.getLogger("taskiq.worker")


class Batches:
    """A room of the worker. Messages join here when they could start, and hold no slot until their batch is full or due.

    Then the batch goes to a slot, before other messages. A batch that gathers brings credit of its own, for as many messages as
    it takes, and one that runs takes that of one message.
    """

    def __init__(
        self,
        broker: AsyncBroker,
        execution: Execution,
        inbox: Inbox,
        credit: Credit,
        *,
        reports: Reports,
        slots: list[Slot],
        refusals: Refusals,
    ) -> None:
        self._broker = broker
        self._execution = execution
        self._inbox = inbox
        self._credit = credit
        self._slots = slots
        self._reports = reports
        self._refusals = refusals
        self._sizes: dict[str, Batch | None] = {}
        self._gathering: dict[str, Gathered] = {}
        self._withdrawn: list[Member] = []
        self._finishing = False
        self._closed = False
        self._news = anyio.Event()

    # -- gathering ------------------------------------------------------------------------------------------------------------

    def of(self, message: TaskiqMessage) -> Batch | None:
        """What `add` needs; None for a task that takes one message, and for one that is not known here."""
        try:
            return self._sizes[message.task_name]
        except KeyError:
            task = self._broker.find_task(message.task_name)
            if task is None:
                return None
            return self._sizes.setdefault(message.task_name, task.options.batch)

    def add(self, delivery: Delivery, message: TaskiqMessage, batch: Batch, slot: Slot) -> Outcome | None:
        """Join the batch of this task; an outcome if the worker stops. Whoever adds looks into the inbox next."""
        if self._closed:
            return Outcome(delivery, Ending.NOT_STARTED)
        gathered = self._gathering.get(message.task_name)
        if gathered is None:
            due = anyio.current_time() + seconds(batch.within)
            gathered = self._gathering[message.task_name] = Gathered(message.task_name, batch.size, due)
            self._credit.set_aside(batch.size)
            self._news.set()
        member = Member(slot, delivery, message, self._withdraw)
        gathered.members.append(member)
        self._slots.append(member)
        if len(gathered.members) >= gathered.size:
            self._hand_over(gathered)
        elif self._finishing and not len(self._inbox):
            self.hurry()
        return None

    def finish(self) -> None:
        """Wait for no more messages than are in the inbox."""
        self._finishing = True
        if not len(self._inbox):
            self.hurry()

    def hurry(self) -> None:
        """Let what is gathered run now."""
        for gathered in list(self._gathering.values()):
            self._hand_over(gathered)

    def close(self) -> list[Delivery]:
        """Let no batch start any more; returns what is left."""
        self._closed = True
        gathered = [*self._gathering.values(), *self._inbox.take_gathered()]
        self._credit.set_aside(-sum(one.size for one in self._gathering.values()))
        self._gathering.clear()
        members = [member for one in gathered for member in one.members]
        members += self._withdrawn
        self._withdrawn.clear()
        for member in members:
            self._slots.remove(member)
        return [member.delivery for member in members]

    def _hand_over(self, gathered: Gathered) -> None:
        del self._gathering[gathered.task_name]
        self._credit.set_aside(-gathered.size)
        self._inbox.put_gathered(gathered)

    def _withdraw(self, member: Member) -> None:
        found = self._gathering.get(member.loaded.task_name)
        if found is not None and found.members == [member]:
            self._credit.set_aside(-found.size)
            del self._gathering[found.task_name]
        for gathered in (found, *self._inbox.gathered):
            if gathered is not None and member in gathered.members:
                gathered.members.remove(member)
        self._withdrawn.append(member)
        self._news.set()

    async def run(self) -> None:
        """Look for what is due, until cancelled."""
        while True:
            while self._withdrawn:
                member = self._withdrawn.pop()
                self._slots.remove(member)
                self._refusals.put([(member.delivery, member.loaded, member.close() or "")])
            now = anyio.current_time()
            for gathered in [one for one in self._gathering.values() if one.due <= now]:
                self._hand_over(gathered)
            next_due = min((gathered.due for gathered in self._gathering.values()), default=math.inf)
            with anyio.move_on_after(next_due - anyio.current_time()):
                await self._news.wait()
            self._news = anyio.Event()

    # -- running --------------------------------------------------------------------------------------------------------------

    async def run_together(self, gathered: Gathered, slot: Slot) -> None:
        """Run a batch in a slot; every message gets its own outcome. Cancelling gives back what has not ended."""
        members = gathered.members
        if not members:
            return
        meeting = Meeting(len(members))
        for place, member in enumerate(members):
            member.invite(meeting, place)  # all of them before anything else can run: a cancel may come at the next moment
        aside = len(members) - 1
        self._credit.set_aside(aside)
        slot.batch = [member.loaded.task_id for member in members]
        slot.begin(slot.batch[0])
        try:
            async with anyio.create_task_group() as group:
                for member in members:
                    group.start_soon(self._run_member, member, meeting)
                await drive(self._meet(gathered, meeting, slot), slot.context(), slot.suspended, slot.resumed)
        finally:
            self._credit.set_aside(-aside)
            slot.batch = ()
            slot.end()

    async def _run_member(self, member: Member, meeting: Meeting) -> None:
        delivery, message = member.delivery, member.loaded
        try:
            with member.scope:
                outcome = await self._outcome(member, delivery, message)
                self._reports.ended(outcome)
        except anyio.get_cancelled_exc_class():
            self._reports.given_back(Outcome(delivery, Ending.WORKER_STOPPING))
            raise
        finally:
            self._slots.remove(member)
            if not member.came:
                meeting.came()

    async def _outcome(self, member: Member, delivery: Delivery, message: TaskiqMessage) -> Outcome:
        try:
            member.check()
            self._reports.started(delivery, message)
            await self._reports.starting(message)
            return await self._execution.run(delivery, message, member)
        except BaseException as error:
            if (why := member.close()) is not None:
                return await self._execution.refused(delivery, message, why)
            if is_stopped() and isinstance(error, anyio.get_cancelled_exc_class()):
                raise
            logger.exception("Task %s (%s) could not be run", message.task_name, message.task_id)
            return await self._execution.failed(delivery, message, error)

    async def _meet(self, gathered: Gathered, meeting: Meeting, slot: Slot) -> None:
        await meeting.complete.wait()
        seats = meeting.seats()
        task = self._broker.find_task(gathered.task_name)
        if not seats or task is None:
            return
        context = Context(gathered.members[0].loaded, self._broker)
        with anyio.CancelScope() as scope:
            meeting.on_desertion = scope.cancel
            try:
                invocation = self._execution.compile(task)
                assert isinstance(invocation, BatchInvocation)
                values = await invocation.call_for([seat.element for seat in seats], context, slot)
            except BaseException as error:
                if is_stopped():
                    if isinstance(error, anyio.get_cancelled_exc_class()):
                        raise
                    return
                if isinstance(error, anyio.get_cancelled_exc_class()):
                    forget_own_cancellation()
                values = [error] * len(seats)
            for seat, value in zip(seats, values, strict=True):
                seat.settle(value)
