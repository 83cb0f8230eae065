"""Tasks without a broker: defined once in a library, run by whatever broker an application has."""

from collections.abc import AsyncGenerator, Callable, Sequence
from typing import Any

from taskiq_core.abc.coordinator import Coordinator
from taskiq_core.acks import AckableMessage
from taskiq_core.broker import AnyTask, AsyncBroker, shared_tasks
from taskiq_core.capability import Capability
from taskiq_core.decor import AsyncTaskiqDecoratedTask
from taskiq_core.exceptions import SharedBrokerListenError, SharedBrokerSendTaskError
from taskiq_core.message import BrokerMessage, TaskiqMessage
from taskiq_core.routes import Routes
from taskiq_core.tasks import Tasks


class AsyncSharedBroker(AsyncBroker):
    """Its tasks are known to every broker and sent through the default one, once that is named."""

    def __init__(self) -> None:
        self._default: AsyncBroker | None = None
        super().__init__()
        self._registry = shared_tasks

    def default_broker(self, broker: AsyncBroker) -> None:
        """Send shared tasks through `broker` unless a kicker says otherwise."""
        self._default = broker
        self.result_backend = broker.result_backend
        self.capabilities = broker.capabilities
        self.admin, self.records = broker.admin, broker.records

    @property
    def coordinator(self) -> Coordinator | None:
        """That of the default broker."""
        return None if self._default is None else self._default.coordinator

    @property
    def tasks(self) -> Tasks:
        """Those of the default broker."""
        return Tasks(self if self._default is None else self._default)

    @property
    def routes(self) -> Routes | None:
        """Those of the default broker."""
        return None if self._default is None else self._default.routes

    def _new_task(self, func: Callable[..., Any], name: str, **parts: Any) -> AnyTask:
        return AsyncTaskiqDecoratedTask(self, name, func, **parts)

    async def send(self, messages: Sequence[TaskiqMessage]) -> None:
        """Through the default broker.

        :raises SharedBrokerSendTaskError: if there is none.
        """
        if self._default is None:
            raise SharedBrokerSendTaskError(task_name=messages[0].task_name)
        await self._default.send(messages)

    async def kick(self, message: BrokerMessage) -> None:
        """Refused.

        :raises SharedBrokerSendTaskError: always.
        """
        raise SharedBrokerSendTaskError(task_name=message.task_name)

    def listen(self) -> AsyncGenerator[bytes | AckableMessage, None]:
        """Refused.

        :raises SharedBrokerListenError: always.
        """
        raise SharedBrokerListenError


async_shared_broker = AsyncSharedBroker()
"""The one that libraries use."""
async_shared_broker.capabilities = ~Capability.NONE  # the real broker checks, once it is named
