"""Sending, so that a batch is in the queues once, also where an answer was lost."""

import asyncio
import math
import uuid
from collections.abc import Sequence
from itertools import groupby

from taskiq_core.defaults import DEFAULT_PRIORITY, DEFAULT_QUEUE
from taskiq_core.exceptions import MessageRefusedError, SendTaskError
from taskiq_core.message import BrokerMessage
from taskiq_core.server_retries import seconds_to_answer, send_until_accepted
from taskiq_core_brokers_redis.errors import RedisError
from taskiq_core_brokers_redis.line import Line
from taskiq_core_brokers_redis.packing import Argument
from taskiq_core_brokers_redis.scripts import Script

_KICK = Script("delayed", "kick")


class Producer:
    """Numbers its batches, has one at a time in flight, and repeats it under the same number until it is answered.

    The server remembers each producer's last number, so that it takes no batch twice, however often and late it arrives, even
    where its tasks have run in the meantime. Concurrent callers lose nothing by taking turns: single messages come in batches
    already, and a batch costs one round trip.
    """

    def __init__(self, commands: Line, root: str, timeout: float) -> None:
        self._commands = commands
        self._server = f"Redis at {commands.server.place}"
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
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._timeout
        await self._take_turn()
        try:
            self._number += 1
            await self._deliver((self._name, self._number, *parts), deadline - loop.time())
        finally:
            self._turn.release()

    async def _take_turn(self) -> None:
        if not self._turn.locked():
            await self._turn.acquire()
            return
        try:
            async with asyncio.timeout(seconds_to_answer(self._timeout)):
                await self._turn.acquire()
        except TimeoutError:
            reason = f"it waited {self._timeout:g} s behind other sends"
            raise SendTaskError(reason=reason, outcome="refused") from None

    async def _deliver(self, arguments: Sequence[Argument], timeout: float) -> None:
        commands = self._commands

        async def attempt() -> None:
            if self._closed:
                raise RedisError(reason=f"the broker on {self._server} was shut down meanwhile")
            await commands.run(_KICK, self._root, *arguments)

        link = commands.current
        await send_until_accepted(
            attempt,
            timeout,
            self._server,
            first_takes=math.inf if link is None else link.patience,
            was_unsent=lambda: commands.current is None,
        )


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
