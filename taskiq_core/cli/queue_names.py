"""The queues of an application."""

import logging
from collections.abc import Iterable

from taskiq_core.broker import AsyncBroker
from taskiq_core.defaults import DEFAULT_QUEUE
from taskiq_core.labels import QUEUE
from taskiq_core.outbox import OUTBOX_QUEUE

logger = logging.getLogger("taskiq.process")


def queues_of(broker: AsyncBroker) -> tuple[str, ...]:
    """The default queue, and those that the tasks of `broker` are sent to."""
    named = (QUEUE.get(broker.kicker(task).labels) for task in broker.get_all_tasks().values())
    return (DEFAULT_QUEUE, *sorted({name for name in named if name} - {DEFAULT_QUEUE}))


def point_out_strangers(app: str, broker: AsyncBroker, queues: Iterable[str]) -> None:
    """Warn of names that may be misspelt."""
    for queue in sorted(set(queues) - {*queues_of(broker), OUTBOX_QUEUE}):
        logger.warning("No task of %s is sent to the queue %r by itself: is that its name?", app, queue)
