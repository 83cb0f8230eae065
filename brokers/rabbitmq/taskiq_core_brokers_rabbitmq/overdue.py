"""The server's consumer_timeout: told of before it strikes.

RabbitMQ closes the channel of a consumer that holds a message for longer than that, and takes back all that the channel holds.
It tells nobody how long that is, so the broker is told.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable
from typing import Any

from taskiq_core.decor import AsyncTaskiqDecoratedTask
from taskiq_core.delivery import Delivery

logger = logging.getLogger("taskiq.rabbitmq")

CONSUMER_TIMEOUT = 1800.0
"""Seconds: what RabbitMQ has unless it is told otherwise."""
_WARN_AT = 0.8
"""The part of it after which we warn."""
_LOOKS = 20
"""How often one looks in that time."""


class Overdue:
    """Looks at what a subscription holds, and warns once when some of it is held for too long, and once more the next time.

    :param limit: seconds of the server's `consumer_timeout`.
    :param held: what is held at the moment.
    """

    def __init__(self, limit: float, held: Callable[[], Iterable[Delivery]]) -> None:
        self._limit = limit
        self._held = held
        self._timer: asyncio.TimerHandle | None = None
        self._told = False

    def start(self) -> None:
        """Look from time to time, in the event loop that runs, until `stop`."""
        self._timer = asyncio.get_running_loop().call_later(self._limit / _LOOKS, self._look)

    def stop(self) -> None:
        """No more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look(self) -> None:
        self.start()
        now = asyncio.get_running_loop().time()
        oldest = min(self._held(), key=_since, default=None)
        late = oldest is not None and now - _since(oldest) > _WARN_AT * self._limit
        if late and not self._told and oldest is not None:
            logger.warning(
                "The message %s is held for %s already. RabbitMQ takes back what a worker holds after %s, and counts all of it "
                "as lost by its holder: %s",
                oldest.receipt.task_id or "of somebody else",
                _minutes(now - _since(oldest)),
                _minutes(self._limit),
                _remedy(self._limit),
            )
        self._told = late


def warn_of_long_tasks(limit: float, tasks: Iterable[AsyncTaskiqDecoratedTask[..., Any]]) -> None:
    """Warn of tasks whose own `timeout` lets them run for longer than the server waits."""
    found = sorted(task.task_name for task in tasks if (task.options.timeout or 0) > limit)
    if found:
        which = f"{', '.join(found[:3])}{' and others' if len(found) > 3 else ''}"
        logger.warning(
            "By their timeout tasks may run for longer than RabbitMQ lets a worker hold a message, %s: %s. If they do: %s",
            _minutes(limit),
            which,
            _remedy(limit),
        )


def _since(delivery: Delivery) -> float:
    since: float = delivery.receipt.since
    return since


def _minutes(seconds: float) -> str:
    return f"{seconds / 60:.0f} min" if seconds >= 120 else f"{seconds:.3g} s"


def _remedy(limit: float) -> str:
    more = max(24 * 3600, round(10 * limit))
    return (
        f"raise its consumer_timeout in rabbitmq.conf, as in `consumer_timeout = {more * 1000}` (milliseconds), and tell the "
        f"broker, as in `?consumer_timeout={more}` (seconds) in its URL."
    )
