"""Sending, so that a batch is in the queues once, also where an answer was lost."""

import asyncio
import uuid
from collections.abc import Sequence
from itertools import groupby

from taskiq_core.defaults import DEFAULT_PRIORITY, DEFAULT_QUEUE
from taskiq_core.exceptions import MessageRefusedError, SendTaskError
from taskiq_core.group_commit import seconds_left
from taskiq_core.message import BrokerMessage
from taskiq_core_brokers_redis.errors import RedisError
from taskiq_core_brokers_redis.line import Line
from taskiq_core_brokers_redis.packing import Argument
from taskiq_core_brokers_redis.scripts import Script

_KICK = Script("delayed", "kick")
_MARGIN = 0.05
"""Seconds before whoever waits for a batch gives up on it."""
_FIRST_PAUSE, _LONGEST_PAUSE = 0.05, 0.5


class Producer:
    """Numbers its batches, has one at a time in flight, and repeats it under the same number until it is answered.

    The server remembers each producer's last number, so that it takes no batch twice, however often and late it arrives, even
    where its tasks have run in the meantime. Concurrent callers lose nothing by taking turns: single messages come in batches
    already, and a batch costs one round trip.
    """

    def __init__(self, commands: Line, root: str, timeout: float) -> None:
        self._commands = commands
        self._root = root
        self._timeout = timeout
        self._name = uuid.uuid4().hex
        self._number = 0
        self._turn = asyncio.Lock()
        self._closed = False

    def close(self) -> None:
        """Try nothing again from now on."""
        self._closed = True

    async def send(self, messages: Sequence[BrokerMessage]) -> None:
        """Have a batch accepted. A cancelled call leaves all of it in the queues, or nothing.

        :raises MessageRefusedError: for a message that is not made of text and bytes; nothing was sent.
        :raises SendTaskError: if it was not accepted in time; its outcome is "unknown" where it may have been.
        """
        try:
            parts = _parts(messages)
        except (TypeError, ValueError, AttributeError) as error:
            raise MessageRefusedError(reason=f"it cannot be sent to Redis: {error}") from error
        # A little earlier than who waits for us in a batch: so they hear why, and whether it took effect.
        deadline = asyncio.get_running_loop().time() + max(0.0, min(self._timeout, seconds_left() - _MARGIN))
        await self._take_turn(deadline)
        try:
            self._number += 1
            await self._deliver((self._name, self._number, *parts), deadline)
        finally:
            self._turn.release()

    async def _take_turn(self, deadline: float) -> None:
        if not self._turn.locked():
            await self._turn.acquire()
            return
        try:
            async with asyncio.timeout_at(deadline):
                await self._turn.acquire()
        except TimeoutError:
            reason = f"it waited {self._timeout:g} s behind other sends"
            raise SendTaskError(reason=reason, outcome="refused") from None

    async def _deliver(self, arguments: Sequence[Argument], deadline: float) -> None:
        link, loop = self._commands.current, asyncio.get_running_loop()
        try:
            if link is not None and deadline - loop.time() > link.patience:  # the link sees to the time, without a timer each
                await self._commands.run(_KICK, self._root, *arguments)
                return
            async with asyncio.timeout_at(deadline):
                await self._commands.run(_KICK, self._root, *arguments)
        except TimeoutError:
            raise self._unanswered() from None
        except RedisError as error:
            await self._send_again(arguments, error, deadline)

    async def _send_again(self, arguments: Sequence[Argument], error: RedisError, deadline: float) -> None:
        loop, pause, certain = asyncio.get_running_loop(), _FIRST_PAUSE, error.certain
        while error.passing and loop.time() + pause < deadline:
            await asyncio.sleep(pause)
            if self._closed:
                break
            pause = min(2 * pause, _LONGEST_PAUSE)
            try:
                async with asyncio.timeout_at(deadline):
                    await self._commands.run(_KICK, self._root, *arguments)
            except TimeoutError:
                if self._commands.current is None:
                    break  # nothing was written this time
                raise self._unanswered() from error
            except RedisError as again:
                error, certain = again, certain and again.certain
            else:
                return
        raise SendTaskError(reason=str(error), outcome="refused" if certain else "unknown") from error

    def _unanswered(self) -> SendTaskError:
        certain = self._commands.current is None
        place = self._commands.server.place
        reason = f"Redis at {place} {'cannot be reached' if certain else 'did not answer'} within {self._timeout:g} s"
        return SendTaskError(reason=reason, outcome="refused" if certain else "unknown")


def _parts(messages: Sequence[BrokerMessage]) -> list[Argument]:
    arguments: list[Argument] = []
    for (queue, priority, delay), group in groupby(messages, _destination):
        items = list(group)
        arguments += (queue, priority, delay, len(items))
        for item in items:
            if not isinstance(item.message, bytes):  # pyright: ignore[reportUnnecessaryIsInstance] - callers lie
                msg = f"its body is {type(item.message).__name__}, not bytes"
                raise TypeError(msg)
            arguments += (item.task_id, item.message)
    return arguments


def _destination(message: BrokerMessage) -> tuple[str, int, int]:
    priority = DEFAULT_PRIORITY if message.priority is None else message.priority
    return message.queue or DEFAULT_QUEUE, priority, max(0, round((message.delay or 0) * 1000))
