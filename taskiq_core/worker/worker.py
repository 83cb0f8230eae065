"""One worker: a started broker, one subscription, one receiver."""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, Unpack

import anyio

from taskiq_core.background import BackgroundTask
from taskiq_core.broker import AsyncBroker
from taskiq_core.worker.backoff import Backoff
from taskiq_core.worker.batch_invocation import compile_invocation
from taskiq_core.worker.callbacks import check_callbacks
from taskiq_core.worker.receiver import Receiver
from taskiq_core.worker.recorder import Recorder
from taskiq_core.worker.relay import Relay
from taskiq_core.worker.settings import WorkerOptions, WorkerSettings
from taskiq_core.worker.threads import Threads

logger = logging.getLogger("taskiq.worker")

_MOMENT = 1.0
"""Seconds after which a start that is not done is told."""
_SHUTDOWN = 5.0
"""Seconds for shutdown handlers and disconnecting."""


class Worker:
    """Runs the tasks of a broker in this process: `await Worker(broker, concurrency=10, queues=["mail"]).run()`.

    Keywords are the fields of `WorkerSettings` and beat those of `settings`.
    `recorder` is where the flight recorder is kept. `predecessors` are the recorders of workers that died: what they held
    is taken back at once, and their files are removed.
    """

    def __init__(
        self,
        broker: AsyncBroker,
        settings: WorkerSettings | None = None,
        *,
        recorder: Path | None = None,
        predecessors: Sequence[Path] = (),
        **options: Unpack[WorkerOptions],
    ) -> None:
        self.broker = broker
        self.settings = (settings or WorkerSettings()).changed(options)
        self._recorder_path = recorder
        self._predecessors = predecessors
        self._receiver: Receiver | None = None
        self._relay: Relay | None = None
        self._starting: anyio.CancelScope | None = None
        self._stopping: Literal["no", "gracefully", "now"] = "no"
        self.stopped_because: Literal["stopped", "burst", "max_tasks"] = "stopped"

    def check(self) -> None:
        """Find mistakes in the tasks before any message does.

        :raises ConfigurationError: for the first task that cannot work.
        """
        threads = Threads()
        tasks = self.broker.get_all_tasks()
        for task in tasks.values():
            compile_invocation(task, self.broker, threads)
        check_callbacks(tasks)

    def stop(self, *, now: bool = False) -> None:
        """End `run` after the running tasks, within the grace; `now` gives them back instead. May be called repeatedly."""
        self._stopping = "now" if now else "gracefully" if self._stopping == "no" else self._stopping
        if self._receiver is not None:
            self._receiver.stop(now=now)
        if self._relay is not None:
            self._relay.stop(now=now)
        if self._starting is not None:
            self._starting.cancel()

    async def run(self) -> None:
        """Start the broker, `serve`, shut the broker down. A broker that cannot be reached is tried until it is, or a stop.

        :raises ConfigurationError: for tasks that cannot work on this broker, or a broker that can never be used so.
        """
        self.broker.is_worker_process = True
        try:
            await self._start()
            await self.serve()
        finally:
            await self._shut_down()

    async def _start(self) -> None:
        if self._stopping == "no":
            waiting = BackgroundTask(self._tell_that_it_waits, "a start that is told")
            with anyio.CancelScope() as self._starting:
                backoff = Backoff(logger, "The broker can be used")
                try:
                    await backoff.start(self.broker.startup, self._shut_down, "The broker cannot be used yet; trying again")
                finally:
                    waiting.cancel()
            self._starting = None

    async def _tell_that_it_waits(self) -> None:
        await anyio.sleep(_MOMENT)
        logger.warning("The worker is not ready yet: it waits for its broker, and for what starts with that")

    async def _shut_down(self) -> None:
        with anyio.move_on_after(_SHUTDOWN, shield=True) as late:
            await self.broker.shutdown()
        if late.cancelled_caught:
            logger.error("The broker did not shut down within %g s.", _SHUTDOWN)

    async def serve(self) -> None:
        """Receive and run until stopped, on a broker that is started.

        Cancelling is a stop now. What cannot be given back in time comes back when its lease ends.

        :raises ConfigurationError: for tasks that cannot work, before anything is received.
        """
        if self._stopping != "no":
            return
        self.check()
        recorder = Recorder(self._recorder_path, self.settings.concurrency)
        try:
            subscription = self.broker.subscribe(self.settings.queues, prefetch=self.settings.prefetch)
            receiver = self._receiver = Receiver(self.broker, subscription, self.settings, recorder, self._predecessors)
            await self._run_beside_relay(receiver)
            self.stopped_because = receiver.stopped_because
        finally:
            self._receiver = None
            recorder.close()

    async def _run_beside_relay(self, receiver: Receiver) -> None:
        if self.broker.outbox is None or not self.settings.relay:
            await receiver.run()
            return
        grace, burst = self.settings.grace, self.settings.burst
        relay = self._relay = Relay(self.broker, self.broker.outbox, grace=grace, burst=burst)
        failure: list[Exception] = []

        async def run_relay() -> None:
            try:
                await relay.run()
            except Exception as error:  # noqa: BLE001 - carried out of the task group as it is
                failure.append(error)
                receiver.stop()

        try:
            if burst:  # what it moves is to be run too
                await run_relay()
            async with anyio.create_task_group() as beside:
                if not burst:
                    beside.start_soon(run_relay)
                if not failure and self._stopping == "no":
                    try:
                        await receiver.run()
                    except Exception as error:  # noqa: BLE001 - as above
                        failure.append(error)
                relay.stop()
        finally:
            self._relay = None
        if failure:
            raise failure[0]
