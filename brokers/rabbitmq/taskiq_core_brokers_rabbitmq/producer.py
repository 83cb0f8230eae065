"""Sending: what was certainly not taken is sent again, until the time is over; what may have been is told."""

import asyncio
import random
from collections.abc import Sequence

from taskiq_core.defaults import DEFAULT_PRIORITY, DEFAULT_QUEUE
from taskiq_core.exceptions import ConfigurationError, MessageRefusedError, SendTaskError
from taskiq_core.group_commit import seconds_left
from taskiq_core.message import BrokerMessage
from taskiq_core_brokers_rabbitmq.envelope import due_in
from taskiq_core_brokers_rabbitmq.errors import RabbitError, TooLargeError
from taskiq_core_brokers_rabbitmq.names import word_of
from taskiq_core_brokers_rabbitmq.publisher import Letter, Publisher

_PAUSE = 0.1
"""Seconds between two tries."""
_MARGIN = 0.1
"""Seconds that an answer needs to those who wait for it."""


class Producer:
    """Sends batches of messages."""

    def __init__(self, publisher: Publisher, timeout: float) -> None:
        self._publisher = publisher
        self._timeout = timeout

    async def send(self, messages: Sequence[BrokerMessage]) -> None:
        """All accepted, or raises.

        :raises MessageRefusedError: for a message that is not what it should be, or too large; nothing was sent.
        :raises SendTaskError: its outcome is "unknown" if some may have been accepted.
        """
        letters = [_letter(message) for message in messages]
        if not letters:
            return
        failure: RabbitError | None = None
        under_way = False
        limit = min(self._timeout, seconds_left()) - _MARGIN
        try:
            async with asyncio.timeout(limit):
                while True:
                    under_way = True
                    try:
                        await self._publisher.publish(letters)
                    except TooLargeError as error:
                        raise MessageRefusedError(reason=str(error)) from error
                    except RabbitError as error:
                        failure = error
                        if not (error.certain and error.passing):
                            outcome = "refused" if error.certain else "unknown"
                            raise SendTaskError(reason=error.reason, outcome=outcome) from error
                        under_way = False
                        await asyncio.sleep(random.uniform(_PAUSE / 2, _PAUSE))
                    else:
                        return
        except TimeoutError:
            # Tries that failed took nothing; the one that was cut off may have been carried out.
            reason = failure.reason if failure else f"RabbitMQ did not answer within {limit:.1f} s."
            raise SendTaskError(reason=reason, outcome="unknown" if under_way else "refused") from failure


def _letter(message: BrokerMessage) -> Letter:
    """:raises MessageRefusedError: for a message that is not what it should be."""
    if not isinstance(message.message, bytes):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise MessageRefusedError(reason=f"its body is {type(message.message).__name__}, not bytes")
    queue = message.queue or DEFAULT_QUEUE
    try:
        word_of(queue)
    except ConfigurationError as error:
        raise MessageRefusedError(reason=error.reason) from error
    level = DEFAULT_PRIORITY if message.priority is None else message.priority
    letter = Letter(message.message, queue, level, message.task_id)
    return due_in(letter, message.delay) if message.delay else letter
