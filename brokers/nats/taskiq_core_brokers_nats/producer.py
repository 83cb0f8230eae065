"""Sending: a batch is one write, and each message of it is stored once, however often it has to be sent again."""

import asyncio
import itertools
import secrets
from collections.abc import Sequence
from functools import partial

from taskiq_core.defaults import DEFAULT_PRIORITY, DEFAULT_QUEUE
from taskiq_core.exceptions import MessageRefusedError, MessageTooLargeError
from taskiq_core.message import BrokerMessage
from taskiq_core.server_retries import send_until_accepted
from taskiq_core_brokers_nats.connection import Connection
from taskiq_core_brokers_nats.errors import MESSAGE_NOT_FOUND, STREAM_NOT_FOUND, WRONG_SEQUENCE, NatsError
from taskiq_core_brokers_nats.headers import DELAY, EXPECTED, MESSAGE_ID, headers_of
from taskiq_core_brokers_nats.names import DELAYED, token
from taskiq_core_brokers_nats.pipelining import Item
from taskiq_core_brokers_nats.publishing import publish_all
from taskiq_core_brokers_nats.state import State
from taskiq_core_brokers_nats.topology import Topology

_LONGEST_ID = 255
"""Characters. It is a part of the subject, and a server ends the connection for one that is too long."""
OVERHEAD = 4096
"""Bytes of a message's subject and headers at the most."""

_FIRST = headers_of({EXPECTED: 0, MESSAGE_ID: ""})[:-4]


class Producer:
    """Sends batches."""

    def __init__(self, connection: Connection, topology: Topology, state: State, timeout: float) -> None:
        self._connection = connection
        self._topology = topology
        self._state = state
        self._timeout = timeout
        self._name = secrets.token_urlsafe(12)
        self._numbers = itertools.count()
        self._places: dict[tuple[str | None, int | None], str] = {}

    async def send(self, messages: Sequence[BrokerMessage]) -> None:
        """All accepted, or raises. What has no answer is sent again, until the time is over; the server knows it by its id.

        :raises SendTaskError: its outcome is "unknown" if some of them may have been accepted.
        """
        self._check(messages)
        batch = _Batch([(message, self._item(message)) for message in messages])
        await send_until_accepted(
            partial(self._try, batch),
            self._timeout,
            f"NATS at {self._connection.location.server}",
            was_unsent=lambda: batch.untouched and not batch.written,
        )

    async def _try(self, batch: "_Batch") -> None:
        """Send what is not accepted yet.

        :raises NatsError: if that is not all accepted now; `certain` where nothing of the batch has been.
        """
        if not self._topology.known:
            await self._topology.ensure()
        messages = [message for message, _ in batch.left]
        await self._state.tell_levels({part for message in messages for part in _parts(message)})
        delayed = [message for message in messages if message.delay]
        there = await self._already_ready(delayed) if delayed else ()
        if there:
            batch.accepted([pair for pair in batch.left if pair[0].task_id not in there])
        await self._connection.usable()
        batch.written = True
        results = await publish_all(self._connection, [item for _, item in batch.left], None)
        undone: list[tuple[BrokerMessage, Item]] = []
        failure: NatsError | None = None
        for pair, result in zip(batch.left, results, strict=True):
            if isinstance(result, NatsError) and result.code != WRONG_SEQUENCE:  # which says that it is queued or running
                undone.append(pair)
                if failure is None or failure.certain:
                    failure = result
        batch.accepted(undone)
        batch.written = False
        if failure is None:
            return
        if failure.certain and failure.passing:
            self._state.forget()
            self._topology.known = False  # the next try makes what is missing
        if batch.untouched:
            raise failure
        raise NatsError(reason=failure.reason, certain=False, passing=failure.passing)

    async def _already_ready(self, delayed: Sequence[BrokerMessage]) -> set[str]:
        """Ids of those that are ready or running already: they have another subject while they are delayed."""
        found: set[str] = set()

        async def look(message: BrokerMessage) -> None:
            subject = self._topology.names.ready(*_place(message))
            try:
                await self._connection.api(f"STREAM.MSG.GET.{self._topology.names.queues}", {"last_by_subj": subject})
            except NatsError as error:
                if error.code not in {MESSAGE_NOT_FOUND, STREAM_NOT_FOUND}:
                    raise
            else:
                found.add(message.task_id)

        await asyncio.gather(*(look(message) for message in delayed))
        return found

    def _item(self, message: BrokerMessage) -> Item:
        number = f"{self._name}{next(self._numbers)}"
        if message.delay:
            fields = {EXPECTED: 0, MESSAGE_ID: number, DELAY: round(message.delay * 1000)}
            return Item(self._topology.names.delayed(*_place(message)), headers_of(fields), message.message)
        part = message.queue, message.priority
        place = self._places.get(part)
        if place is None:
            queue, priority, _ = _place(message)
            place = self._places[part] = self._topology.names.part(queue, priority)
        return Item(place + token(message.task_id), b"%b%b\r\n\r\n" % (_FIRST, number.encode()), message.message)

    def _check(self, messages: Sequence[BrokerMessage]) -> None:
        link = self._connection.link
        limit = None if link is None else link.max_payload - OVERHEAD
        for message in messages:
            if not isinstance(message.message, bytes):  # pyright: ignore[reportUnnecessaryIsInstance] - callers lie
                raise MessageRefusedError(reason=f"its body is {type(message.message).__name__}, not bytes")
            if len(message.task_id) > _LONGEST_ID:
                raise MessageRefusedError(reason=f"its task id is longer than {_LONGEST_ID} characters")
            if limit is not None and len(message.message) > limit:
                raise MessageTooLargeError(task_name=message.task_name, size=len(message.message), limit=limit)


class _Batch:
    """What of it is `left` to be accepted."""

    def __init__(self, pairs: list[tuple[BrokerMessage, Item]]) -> None:
        self.left = pairs
        self.untouched = True
        self.written = False
        """Whether there are answers to come."""

    def accepted(self, left: list[tuple[BrokerMessage, Item]]) -> None:
        """All but these have been."""
        self.untouched = self.untouched and len(left) == len(self.left)
        self.left = left


def _place(message: BrokerMessage) -> tuple[str, int, str]:
    priority = DEFAULT_PRIORITY if message.priority is None else message.priority
    return message.queue or DEFAULT_QUEUE, priority, message.task_id


def _parts(message: BrokerMessage) -> list[tuple[str, str]]:
    queue, priority, _ = _place(message)
    return [(queue, str(priority)), *([(queue, DELAYED)] if message.delay else [])]
