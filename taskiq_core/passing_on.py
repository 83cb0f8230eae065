"""Sending messages that are formatted already, where one that is refused must not stand in the way of the others."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from taskiq_core.exceptions import MessageHeldUpError, MessageRefusedError, MessageTooLargeError, UnsupportedOptionError
from taskiq_core.message import BrokerMessage

K = TypeVar("K")

_REFUSALS = (MessageRefusedError, MessageTooLargeError, UnsupportedOptionError, TypeError, ValueError)
"""Errors that say something about a message, and nothing about the state of the broker."""


@dataclass(slots=True)
class PassedOn(Generic[K]):
    """What has become of messages, by what the caller knows them by."""

    accepted: list[K] = field(default_factory=list[K])
    refused: list[tuple[K, str]] = field(default_factory=list[tuple[K, str]])
    """With the reason: the broker will never take these."""

    async def send(
        self,
        kick_many: Callable[[Sequence[BrokerMessage]], Awaitable[None]],
        messages: Sequence[tuple[K, BrokerMessage]],
        max_size: int,
    ) -> None:
        """Send all, in batches as large as the broker takes them. After an error, what was accepted before it is noted.

        :raises MessageHeldUpError: if some have to be sent later; all others are sent.
        :raises Exception: whatever else the broker raises, as it does when it cannot be reached.
        """
        sized: list[tuple[K, BrokerMessage]] = []
        for key, message in messages:
            size = len(message.message)
            if size > max_size:
                self.refused.append((key, f"it has {size} bytes, and the target takes {max_size}"))
            else:
                sized.append((key, message))
        if sized and (held_up := await self._send(kick_many, sized)) is not None:
            raise held_up

    async def _send(
        self, kick_many: Callable[[Sequence[BrokerMessage]], Awaitable[None]], messages: Sequence[tuple[K, BrokerMessage]]
    ) -> MessageHeldUpError | None:
        try:
            await kick_many([message for _, message in messages])
        except (*_REFUSALS, MessageHeldUpError) as error:
            if len(messages) > 1:
                half = len(messages) // 2
                first = await self._send(kick_many, messages[:half])
                return await self._send(kick_many, messages[half:]) or first
            if isinstance(error, MessageHeldUpError):
                return error
            self.refused.append((messages[0][0], str(getattr(error, "reason", "") or error)))
        else:
            self.accepted += [key for key, _ in messages]
        return None
