"""From task messages to the broker: hooks, format, size check, kick."""

from collections.abc import Sequence
from typing import NoReturn, Protocol

from taskiq_core import clock
from taskiq_core.abc.formatter import TaskiqFormatter
from taskiq_core.announcer import Announcer
from taskiq_core.exceptions import ConfigurationError, MessageTooLargeError, SendTaskError, TaskiqError
from taskiq_core.group_commit import NotFlushedError
from taskiq_core.ids import check_task_id
from taskiq_core.labels import DELAY, QUEUE
from taskiq_core.message import BrokerMessage, TaskiqMessage
from taskiq_core.middleware_chain import MiddlewareChain
from taskiq_core.task_events import TaskSent
from taskiq_core.transactions import OpenTransaction, transaction_of


class Transport(Protocol):
    """What sending needs of a broker."""

    chain: MiddlewareChain
    formatter: TaskiqFormatter
    max_message_size: int
    announcer: Announcer | None

    async def kick(self, message: BrokerMessage) -> None: ...
    async def kick_many(self, messages: Sequence[BrokerMessage]) -> None: ...


class MessageSender:
    """Stations 2 and 3 of a message's way."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    async def send(self, messages: Sequence[TaskiqMessage]) -> None:
        """Send a batch: all accepted, or raises. Within a transaction accepted means written, and sent by the commit.

        Cancelling while the broker is being asked leaves the outcome unknown.

        :raises SendTaskError: with the cause chained; errors of `pre_send` hooks come through as they are.
        """
        transport, chain = self._transport, self._transport.chain
        if chain.pre_send is not None:
            messages = [await chain.pre_send(message) for message in messages]
        if (transaction := transaction_of(transport)) is not None:
            await self._put_into(transaction, messages)
        elif len(messages) == 1:
            formatted = self._format(messages[0])
            try:
                await transport.kick(formatted)
            except Exception as error:  # noqa: BLE001 - raised again
                _raise_as_send_error(error, messages[0].task_name)
        else:
            batch = [self._format(message) for message in messages]
            try:
                await transport.kick_many(batch)
            except Exception as error:  # noqa: BLE001 - raised again
                _raise_as_send_error(error, messages[0].task_name if messages else "?")
        if chain.post_send is not None:
            for message in messages:
                await chain.post_send(message)
        if transport.announcer is not None and transport.announcer.wants(TaskSent):
            for message in messages:
                transport.announcer.announce(_sent(message))

    async def _put_into(self, transaction: OpenTransaction, messages: Sequence[TaskiqMessage]) -> None:
        batch = [self._format(message) for message in messages]
        try:
            await transaction.put(batch)
        except ConfigurationError:
            raise
        except Exception as error:  # noqa: BLE001 - raised again
            _raise_as_send_error(error, messages[0].task_name if messages else "?")

    def _format(self, message: TaskiqMessage) -> BrokerMessage:
        try:
            check_task_id(message.task_id)
        except ValueError as error:
            raise SendTaskError(task_name=message.task_name, reason=str(error), outcome="refused") from error
        try:
            formatted = self._transport.formatter.dumps(message)
        except Exception as error:
            reason = f"its arguments cannot be serialised: {type(error).__name__}: {error}"
            raise SendTaskError(task_name=message.task_name, reason=reason, outcome="refused") from error
        size = len(formatted.message)
        if size > self._transport.max_message_size:
            raise MessageTooLargeError(task_name=message.task_name, size=size, limit=self._transport.max_message_size)
        return formatted


def _sent(message: TaskiqMessage) -> TaskSent:
    labels = dict(message.labels)
    return TaskSent(
        task_id=message.task_id,
        task_name=message.task_name,
        at=clock.time(),
        queue=QUEUE.get(labels),
        labels=labels,
        delay=DELAY.get(labels),
    )


def _raise_as_send_error(error: Exception, task_name: str) -> NoReturn:
    if isinstance(error, SendTaskError):
        fields = {name: getattr(error, name, None) for name in error.__fields__}
        if error.task_name != "?" or str(error) != error.__template__.format(**fields):
            raise error
        # A copy, as the callers of one batch share the error; from what it is from, as it would say the same twice.
        raise type(error)(**{**fields, "task_name": task_name}) from _cause(error)
    reason = str(error) if isinstance(error, TaskiqError | NotFlushedError) else f"{type(error).__name__}: {error}"
    outcome = "refused" if isinstance(error, NotFlushedError) else "unknown"
    raise SendTaskError(task_name=task_name, reason=reason, outcome=outcome) from error


def _cause(error: Exception) -> BaseException | None:
    return error.__cause__ if error.__suppress_context__ else error.__context__
