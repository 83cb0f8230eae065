"""An application's tasks under test: on memory, in virtual time, with a real worker."""

import difflib
import inspect
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Unpack

import anyio

from taskiq_core.abc.schedule_source import ScheduleSource
from taskiq_core.background import BackgroundTask
from taskiq_core.broker import AsyncBroker
from taskiq_core.brokers.inmemory import InMemoryBroker
from taskiq_core.brokers.memory_queue import ALL_QUEUES
from taskiq_core.decor import AsyncTaskiqDecoratedTask
from taskiq_core.events import TaskiqEvents
from taskiq_core.exceptions import BrokerError
from taskiq_core.retry import seconds
from taskiq_core.schedule_sources.label_based import LabelScheduleSource
from taskiq_core.scheduler import TaskiqScheduler
from taskiq_core.task import AsyncTaskiqTask
from taskiq_core.testing.faults import Faults, Point
from taskiq_core.testing.memory_stores import WatchedQueue, WatchedResults
from taskiq_core.testing.sends import SendLog, Sends
from taskiq_core.testing.stage import on_memory
from taskiq_core.testing.virtual_clock import PATIENCE, VirtualTime, virtual_time
from taskiq_core.testing.workers import Workers
from taskiq_core.utils import maybe_awaitable
from taskiq_core.worker import Worker, WorkerSettings
from taskiq_core.worker.settings import WorkerOptions

_LEASE = 3600.0
"""Seconds: long, as a worker wakes three times in it even if there is nothing to do, in a month of virtual time too."""
_REFRESH = 10.0
"""Seconds between two readings of a source that does not tell of its changes. (Code does not change.)"""
_WITHIN = timedelta(days=366)
_END = 10.0
"""Seconds of the virtual clock for a scheduler to end."""

AnyTask = str | AsyncTaskiqDecoratedTask[..., Any]


class TaskiqTest:
    """What a test can do and ask; made by `taskiq_test`."""

    def __init__(self, broker: AsyncBroker, time: VirtualTime, queue: WatchedQueue, sends: SendLog, workers: Workers) -> None:
        self.broker = broker
        self.time = time
        self.start = time.now()
        """When the test began, in UTC."""
        self._queue = queue
        self._sends = sends
        self._workers = workers
        self._schedulers: list[tuple[TaskiqScheduler, BackgroundTask]] = []

    # -- time ---------------------------------------------------------------------------------------------------------------

    @property
    def now(self) -> datetime:
        """The virtual wall clock, in UTC."""
        return self.time.now()

    async def advance(self, delta: float | timedelta = 0.0, **parts: float) -> None:
        """Let this much time pass, and everything happen that is due until then, the last moment included.

        `delta` is in seconds or a timedelta; `parts` are those of a timedelta: `advance(hours=2)`.
        """
        await anyio.sleep(seconds(delta) + timedelta(**parts).total_seconds())
        await self.time.rest()

    async def run(self) -> None:
        """Wait until nothing is ready, held back by a limit, or running. The delayed and paused queues are not waited for.

        :raises RuntimeError: if there is no worker.
        """
        await self._wait(lambda: self._queue.queue.busy, None)

    async def drain(self, within: float | timedelta = _WITHIN) -> None:
        """Wait until nothing is left, delayed messages and retries included; schedules do not count.

        :raises TimeoutError: if something is left after so many seconds of virtual time (a paused queue, a task without end).
        :raises RuntimeError: if there is no worker.
        """
        await self._wait(lambda: len(self._queue.queue) > 0, seconds(within))

    async def _wait(self, unfinished: Callable[[], bool], within: float | None) -> None:
        await self.time.rest()
        if not self._workers.count and unfinished():
            msg = "There is no worker that would run what was sent: start the test with workers=1."
            raise RuntimeError(msg)
        with anyio.move_on_after(within) as late:
            while unfinished():
                await self._queue.next_change()
        if late.cancelled_caught:
            msg = f"After {within:g} s there are still {len(self._queue.queue)} messages."
            raise TimeoutError(msg)
        await self.time.rest()
        error = self._workers.error()
        if error is not None:
            raise error

    # -- schedules ----------------------------------------------------------------------------------------------------------

    async def scheduler(self, *sources: ScheduleSource) -> TaskiqScheduler:
        """Run a scheduler until the end of the test, on these sources; without any, on the `schedule=` of the tasks."""
        chosen = sources or (LabelScheduleSource(self.broker),)
        refresh = _REFRESH if sources else _LEASE
        scheduler = TaskiqScheduler(self.broker, chosen, clock=self.time, refresh_interval=refresh)
        await scheduler.startup()
        self._schedulers.append((scheduler, BackgroundTask(scheduler.run, "scheduler of a test")))
        await self.time.rest()
        return scheduler

    async def _stop(self) -> None:
        for scheduler, running in self._schedulers:
            scheduler.stop()
            await running.wait(_END)
            await scheduler.shutdown()
        await self._workers.stop()

    # -- what was sent ------------------------------------------------------------------------------------------------------

    def sent(self, task: AnyTask | None = None, *args: Any, **kwargs: Any) -> Sends:
        """What was sent of a task (or its name) with these arguments, in order; others of its arguments may be anything.

        Arguments are compared as they arrive, so it does not matter whether they are given by position or by name.
        Without a task: everything. Retries are not sends.

        :raises LookupError: for a name that no task of the broker has, and under which nothing was sent.
        :raises TypeError: for arguments that the task does not take.
        """
        return self._sends.all() if task is None else self._sends.find(task, args, kwargs)

    # -- faults -------------------------------------------------------------------------------------------------------------

    async def crash_worker(self, *, replace: bool = True) -> None:
        """Let the first worker die as by SIGKILL: what it holds comes back when its leases end.

        Async tasks see a cancellation, and nothing that they or the worker do from then on has an effect outside. With
        `replace` another worker starts at once.
        """
        self._workers.crash(0)
        if replace:
            self._workers.start()
        await self.time.rest()

    async def redeliver(self, task: AsyncTaskiqTask[Any] | str) -> None:
        """Deliver the message of a handle (or id) once more, whether it waits, runs or has ended, as a broker may.

        :raises LookupError: if nothing was sent under that id.
        """
        task_id = task if isinstance(task, str) else task.task_id
        message = self._sends.message(task_id)
        if not self._queue.queue.lapse(task_id):
            self._queue.queue.add([message.model_copy(update={"delay": None})])
        self._queue.wake()
        await self.time.rest()

    def fail_next(self, point: Point, error: Exception | None = None, *, times: int = 1, after: bool = False) -> None:
        """Raise an error in the next calls to the store: a "send", a worker's "receive" or "settle", or its "store" of results.

        With `after` the call takes effect and its answer is lost. Without `error` it is the one of a broken connection.

        :raises ValueError: for another point than those.
        """
        broken = BrokerError(reason="the test broke the connection")
        self._queue.faults.order(point, error or broken, times, after=after)


@asynccontextmanager
async def taskiq_test(
    broker: AsyncBroker,
    *,
    start: datetime | None = None,
    seed: int | None = 0,
    workers: int = 1,
    lease: float = _LEASE,
    patience: float = PATIENCE,
    **settings: Unpack[WorkerOptions],
) -> AsyncGenerator[TaskiqTest, None]:
    """Within it a broker's tasks run here and now: on memory instead of its servers, in virtual time, by real workers.

    The broker is started and shut down; afterwards it is what it was before.

    :param start: what the clock shows at first (a naive datetime is UTC); None is now.
    :param seed: for the module `random`, so that jitter is the same in each run; None leaves it alone.
    :param workers: how many workers run; 0 for a test that looks only at what is sent.
    :param lease: seconds after which the messages of a crashed worker come back.
    :param patience: real seconds of silence on open sockets and pipes, and of child processes, before time jumps.
    :param settings: of the workers, as in `WorkerSettings`; they serve all queues unless it says otherwise.
    :raises ConfigurationError: if the broker is started, or has tasks that cannot work.
    :raises TypeError: for a keyword that is none of these.
    :raises RuntimeError: if the event loop is neither asyncio's own nor trio.
    """
    _refuse_unknown(settings)
    chosen = WorkerSettings(queues=ALL_QUEUES).changed(settings)
    async with AsyncExitStack() as stack:
        time = stack.enter_context(virtual_time(start, seed=seed, patience=patience))
        sends, crew = SendLog(broker), Workers(partial(Worker, broker, chosen))
        queue = WatchedQueue(Faults(), lease, sends.add)
        results = WatchedResults(queue.faults, getattr(broker.result_backend, "result_ttl", None))
        stack.enter_context(on_memory(broker, queue, results))
        await _start(broker, stack)
        kit = TaskiqTest(broker, time, queue, sends, crew)
        stack.push_async_callback(_shielded, kit._stop)  # pyright: ignore[reportPrivateUsage]
        for _ in range(workers):
            crew.start()
        await time.rest()
        yield kit


def _refuse_unknown(settings: Mapping[str, object]) -> None:
    known = [*WorkerOptions.__annotations__, *inspect.signature(taskiq_test).parameters]
    for name in settings.keys() - WorkerOptions.__annotations__.keys():
        close = difflib.get_close_matches(name, known, n=1)
        hint = f"; did you mean {close[0]!r}?" if close else ""
        msg = f"taskiq_test() and the marker `taskiq` take no keyword {name!r}{hint}"
        raise TypeError(msg)


async def _start(broker: AsyncBroker, stack: AsyncExitStack) -> None:
    stack.push_async_callback(_shielded, broker.shutdown)
    await broker.startup()
    if not isinstance(broker, InMemoryBroker):  # which is client and worker itself
        stack.push_async_callback(_shielded, partial(_fire, broker, TaskiqEvents.WORKER_SHUTDOWN))
        await _fire(broker, TaskiqEvents.WORKER_STARTUP)


async def _shielded(end: Callable[[], Awaitable[None]]) -> None:
    with anyio.CancelScope(shield=True):
        await end()


async def _fire(broker: AsyncBroker, event: TaskiqEvents) -> None:
    for handler in broker.event_handlers[event]:
        await maybe_awaitable(handler(broker.state))
