"""Running workers and schedulers inside an application of your own."""

from typing import Any

from taskiq_core.broker import AsyncBroker
from taskiq_core.defaults import DEFAULT_CONCURRENCY, DEFAULT_GRACE, DEFAULT_QUEUE
from taskiq_core.scheduler import TaskiqScheduler
from taskiq_core.worker import Worker, WorkerSettings


async def run_receiver_task(
    broker: AsyncBroker,
    *,
    queues: tuple[str, ...] = (DEFAULT_QUEUE,),
    max_async_tasks: int = DEFAULT_CONCURRENCY,
    max_prefetch: int | None = None,
    grace: float = DEFAULT_GRACE,
    run_startup: bool = False,
) -> None:
    """Work for `broker` until cancelled; cancelling gives running tasks back and is re-raised.

    `run_startup` starts the broker first; without it, it must be started.

    :raises ConfigurationError: for a negative number, or tasks that cannot work.
    """
    settings = WorkerSettings(queues=queues, concurrency=max_async_tasks, prefetch=max_prefetch, grace=grace)
    worker = Worker(broker, settings)
    await (worker.run() if run_startup else worker.serve())


async def run_scheduler_task(scheduler: TaskiqScheduler, *, run_startup: bool = False, **_: Any) -> None:
    """Run a scheduler until cancelled.

    `run_startup` starts its broker and sources first; without it, they must be started.
    """
    if run_startup:
        await scheduler.startup()
    await scheduler.run()
