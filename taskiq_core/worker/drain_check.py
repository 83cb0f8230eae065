"""When a worker that is to end with its queues may call them empty."""

from collections.abc import Sequence
from typing import Final

from taskiq_core.abc.queue_admin import QueueAdmin

_QUIET: Final = 0.3
"""Seconds without a message after which one asks whether there are any."""
_LONGEST: Final = 10.0


class DrainCheck:
    """Silence alone proves little: a server that is far away or busy may need longer for its answer than anybody waits.

    :param admin: who counts what waits; without one, silence has to do.
    """

    def __init__(self, admin: QueueAdmin | None, queues: Sequence[str]) -> None:
        self._admin = admin
        self._queues = tuple(queues)
        self.patience = _QUIET
        """Seconds that a message is to be waited for before `is_empty` is asked."""

    def came(self) -> None:
        """A message came in time."""
        self.patience = _QUIET

    async def is_empty(self) -> bool:
        """Whether nothing waits that could be received; if something does, it gets more time from now on.

        What is delayed does not count, nor what waits in a paused queue.

        :raises BrokerError: if the broker cannot be asked.
        """
        if self._admin is None:
            return True
        paused = await self._admin.paused()
        for queue in self._queues:
            if queue not in paused and (await self._admin.depth(queue)).ready:
                self.patience = min(2 * self.patience, _LONGEST)
                return False
        return True
