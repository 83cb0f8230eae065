"""The scheduler: wakes when something is due, and not before."""

import logging
from collections.abc import Sequence
from datetime import datetime, timedelta

import anyio
import anyio.abc

from taskiq_core.abc.coordinator import ClaimStore
from taskiq_core.abc.schedule_source import ScheduleSource
from taskiq_core.broker import AsyncBroker
from taskiq_core.outage import Outage
from taskiq_core.scheduler.agenda import Agenda, Entry
from taskiq_core.scheduler.clock import Clock, SystemClock
from taskiq_core.scheduler.dispatcher import Dispatcher, Outcome
from taskiq_core.scheduler.fire import Fire
from taskiq_core.scheduler.known_since import KnownSince

logger = logging.getLogger("taskiq.scheduler")

_READ_TIMEOUT = 30.0
"""Seconds that a source may take to list its schedules."""
_SPACING = timedelta(milliseconds=100)
"""Least time between two readings of a source, so that a burst of changes is read once."""
_SHARE = 10
"""A source is left alone for this many times as long as reading it took, so that a large one does not keep us busy."""


class TaskiqScheduler:
    """Sends the tasks of schedules when they are due. Any number may run on one set of sources.

    Together they make each fire once: its id, made of schedule id and due time, is claimed in the coordinator and is the
    task id of what is sent. What a dead scheduler has claimed and not sent, another one sends under the same id after
    `claim_ttl` seconds; a fire that nobody made is made up to 60 s late, also after a restart. What is older is subject to
    the schedule's `misfire`: "skip" forgets it, "once" makes the last one, "all" makes all of the last seven days.

    `coordinator` is the shared memory for that. Without one it is the first source that is a `ClaimStore`, else the
    broker's result backend if it is one; if nothing is, or it knows one process only, one scheduler may run.

    Sources are read every `refresh_interval` seconds, and when their `wait_changed` returns: a schedule that was added is
    known after at most that long. A source that fails keeps its last answer.
    """

    def __init__(
        self,
        broker: AsyncBroker,
        sources: Sequence[ScheduleSource],
        coordinator: ClaimStore | None = None,
        *,
        refresh_interval: float = 10.0,
        claim_ttl: float = 15.0,
        clock: Clock | None = None,
    ) -> None:
        self.broker = broker
        self.sources = list(sources)
        self.coordinator = coordinator
        self.refresh_interval = refresh_interval
        self.claim_ttl = claim_ttl
        self._clock = clock or SystemClock()
        self._stopping = anyio.Event()
        self._wake = anyio.Event()
        self._started_broker = False
        self._asking = Outage(logger, "The coordinator answers again", traces=True)

    async def startup(self) -> None:
        """Start the broker, unless it is started already, and the sources. Idempotent."""
        if self.broker.home is None:
            self._started_broker = True  # also if it fails half-way: `shutdown` undoes that half
            await self.broker.startup()
        for source in self.sources:
            await source.startup()

    async def shutdown(self) -> None:
        """Undo `startup`. Idempotent."""
        for source in self.sources:
            await source.shutdown()
        if self._started_broker:
            self._started_broker = False
            await self.broker.shutdown()

    def stop(self) -> None:
        """Make `run` return, now or as soon as it starts; a send under way gets up to `claim_ttl` seconds to end."""
        self._stopping.set()
        self._wake.set()

    async def run(self) -> None:
        """Make fires until `stop`; between `startup` and `shutdown`.

        Cancelling is safe: a fire that is claimed and not sent is made by another scheduler, or after the next start.
        """
        coordinator = self._find_coordinator()
        known = None if coordinator is None else KnownSince(coordinator, self.refresh_interval)
        dispatcher = Dispatcher(self.broker, coordinator, self._clock, self.claim_ttl, self._stopping)
        agendas = [Agenda(source, coordinated=coordinator is not None) for source in self.sources]
        async with anyio.create_task_group() as fires, anyio.create_task_group() as readers:
            for agenda in agendas:
                readers.start_soon(self._follow, agenda, known)
            await self._make_fires(agendas, dispatcher, fires)
            readers.cancel_scope.cancel()

    def _find_coordinator(self) -> ClaimStore | None:
        candidates = (self.coordinator, *self.sources, self.broker.result_backend)
        found = next((item for item in candidates if isinstance(item, ClaimStore)), None)
        if found is None or not found.cross_process:
            logger.warning(
                "Only one scheduler may run: there is no coordinator that several share. "
                "Give the scheduler one, or the broker a result backend that is one (SQLite is)."
            )
        return found

    # -- making fires ---------------------------------------------------------------------------------------------------

    async def _make_fires(self, agendas: list[Agenda], dispatcher: Dispatcher, fires: anyio.abc.TaskGroup) -> None:
        while not self._stopping.is_set():
            self._wake = anyio.Event()
            now = self._clock.now()
            for agenda in agendas:
                for fire in agenda.take_due(now):
                    fires.start_soon(self._make, dispatcher, agenda, fire)
            due = [moment for agenda in agendas if (moment := agenda.next_due()) is not None]
            await self._clock.sleep_until(min(due, default=None), self._wake)

    async def _make(self, dispatcher: Dispatcher, agenda: Agenda, fire: Fire) -> None:
        outcome = await dispatcher.make(fire)
        unsettled = outcome is Outcome.FAILED or (outcome is Outcome.TAKEN and fire.leaves_the_source)
        if unsettled and fire.one_off and not self._stopping.is_set():
            # There is no next time that would make good for it: as long as it stands in its source, it is due.
            agenda.again(fire)
            self._wake.set()

    # -- reading sources ------------------------------------------------------------------------------------------------

    async def _follow(self, agenda: Agenda, known: KnownSince | None) -> None:
        name = type(agenda.source).__name__
        reading = Outage(logger, f"{name} is read again", traces=True)
        watching = Outage(logger, f"{name} is watched again", traces=True)
        while True:
            begun = self._clock.now()
            try:
                await self._read(agenda, known)
                reading.over()
            except Exception as error:  # noqa: BLE001 - sources raise what their drivers raise
                reading.say(f"{name} cannot be read; its last schedules stay in force", error)
            self._wake.set()
            read = self._clock.now()
            spacing = min(max(_SPACING, _SHARE * (read - begun)), timedelta(seconds=self.refresh_interval))
            await self._until_changed(agenda.source, read, watching)
            await self._clock.sleep_until(read + spacing, self._stopping)

    async def _read(self, agenda: Agenda, known: KnownSince | None) -> None:
        with anyio.fail_after(_READ_TIMEOUT):
            schedules = await agenda.source.get_schedules()
        entries = agenda.read(schedules)
        now = self._clock.now()
        since = {} if known is None else await self._read_since(known, entries)
        gone = agenda.replace(entries, since, now)
        if known is not None:
            await self._forget(known, gone)

    async def _read_since(self, known: KnownSince, entries: dict[str, Entry]) -> dict[str, datetime]:
        try:
            with anyio.fail_after(_READ_TIMEOUT):
                since = await known.read(entries.values(), self._clock.now())
        except Exception as error:  # noqa: BLE001 - as above
            self._asking.say("The coordinator cannot be asked what was missed; new schedules start now", error)
            return {}
        if since:  # without schedules nobody was asked
            self._asking.over()
        return since

    async def _forget(self, known: KnownSince, keys: set[str]) -> None:
        try:
            with anyio.fail_after(_READ_TIMEOUT):
                await known.forget(keys)
        except Exception as error:  # noqa: BLE001 - as above
            what = "The coordinator could not forget what is deleted or paused; it may be made up if it comes back"
            self._asking.say(what, error)

    async def _until_changed(self, source: ScheduleSource, read: datetime, watching: Outage) -> None:
        changed = anyio.Event()
        async with anyio.create_task_group() as group:
            group.start_soon(self._watch, source, changed, watching)
            await self._clock.sleep_until(read + timedelta(seconds=self.refresh_interval), changed)
            group.cancel_scope.cancel()

    async def _watch(self, source: ScheduleSource, changed: anyio.Event, watching: Outage) -> None:
        try:
            await source.wait_changed()
            changed.set()
        except Exception as error:  # noqa: BLE001 - as above
            watching.say(f"{type(source).__name__} cannot be watched; it is read every {self.refresh_interval} s", error)
        except BaseException:  # it was watched until the time came to read it
            watching.over()
            raise
        else:
            watching.over()
