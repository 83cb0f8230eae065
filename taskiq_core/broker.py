"""The broker: a facade that owns parts and delegates to them."""

import os
from abc import ABC
from collections.abc import AsyncGenerator, Callable, Sequence
from typing import Any, ParamSpec, Self, TypeVar, cast, overload

import anyio.lowlevel

from taskiq_core.abc.queue_admin import QueueAdmin
from taskiq_core.abc.result_backend import AsyncResultBackend
from taskiq_core.abc.subscription import Subscription
from taskiq_core.acks import AckableMessage
from taskiq_core.broker_events import BrokerEvents
from taskiq_core.broker_parts import BrokerParts
from taskiq_core.broker_transactions import BrokerTransactions
from taskiq_core.capability import Capability
from taskiq_core.dead_letters import DeadLetters
from taskiq_core.decor import AsyncTaskiqDecoratedTask
from taskiq_core.defaults import EVENTS_DRAIN, MAX_MESSAGE_SIZE, SEND_TIMEOUT
from taskiq_core.events import EventHandler, TaskiqEvents
from taskiq_core.exceptions import ConfigurationError, MessageHeldUpError, MessageRefusedError, TaskBrokerMismatchError
from taskiq_core.group_commit import GroupCommit
from taskiq_core.ids import new_task_id
from taskiq_core.kicker import AsyncKicker
from taskiq_core.labels import DELAY
from taskiq_core.limit_control import Limits
from taskiq_core.listening import ListeningSubscription
from taskiq_core.message import BrokerMessage, TaskiqMessage
from taskiq_core.option_check import check_options
from taskiq_core.registrar import TaskRegistrar
from taskiq_core.registry import TaskRegistry
from taskiq_core.result_backends.dummy import DummyResultBackend
from taskiq_core.router import TaskRouter
from taskiq_core.sending import MessageSender
from taskiq_core.task import AsyncTaskiqTask
from taskiq_core.tasks import Tasks
from taskiq_core.utils import maybe_awaitable

AnyTask = AsyncTaskiqDecoratedTask[..., Any]
H = TypeVar("H", bound=EventHandler)
P = ParamSpec("P")
R = TypeVar("R")

shared_tasks: TaskRegistry[AnyTask] = TaskRegistry()
"""Tasks of `async_shared_broker`, which every broker knows."""


class AsyncBroker(BrokerParts, BrokerTransactions, BrokerEvents, TaskRegistrar, ABC):
    """Sends messages; opens subscriptions for workers to receive them.

    A plugin overrides `kick` or `kick_many`, and `listen` or `subscribe`; the base class makes the other of each pair, and
    refuses a class with neither. Plugins may set any attribute that is not public here.
    """

    capabilities: Capability = Capability.NONE
    """What the transport serves natively; see `Capability`."""

    admin: QueueAdmin | None = None
    """Queues and dead letters, on brokers with `Capability.DEAD_LETTER`."""

    max_message_size: int = MAX_MESSAGE_SIZE
    """Bytes; a larger body is refused at the send."""
    send_timeout: float = SEND_TIMEOUT
    """Seconds within which a `kick` has its answer, also one that waits behind others."""
    is_worker_process: bool = False
    """Set by workers before `startup`."""

    origin: str | None = None
    """Where another process finds this broker, or a function that makes it: `module:name`. None: in whatever module it is."""

    def __new__(cls, *_: Any, **__: Any) -> Self:
        # At construction and not at class creation: plugins have bases of their own that leave a half to their subclasses.
        if cls.kick is AsyncBroker.kick and cls.kick_many is AsyncBroker.kick_many:
            msg = f"{cls.__name__} must override kick() or kick_many(), else messages have nowhere to go."
            raise TypeError(msg)
        if cls.listen is AsyncBroker.listen and cls.subscribe is AsyncBroker.subscribe:
            msg = f"{cls.__name__} must override listen() or subscribe(), else no worker can receive."
            raise TypeError(msg)
        return super().__new__(cls)

    def __init__(
        self,
        result_backend: AsyncResultBackend[Any] | None = None,
        task_id_generator: Callable[[], str] | None = None,
    ) -> None:
        BrokerParts.__init__(self, result_backend or DummyResultBackend(), task_id_generator or new_task_id)
        self.event_handlers: dict[TaskiqEvents, list[EventHandler]] = {event: [] for event in TaskiqEvents}
        self._home: tuple[int, anyio.lowlevel.EventLoopToken] | None = None
        self._registry: TaskRegistry[AnyTask] = TaskRegistry(shared_tasks)
        self._group: GroupCommit[BrokerMessage] = GroupCommit(self.kick_many, splits=(MessageRefusedError, MessageHeldUpError))
        self._sender = MessageSender(self)

    @classmethod
    def from_url(cls, url: str, **options: Any) -> Self:
        """Build from a URL whose scheme belongs to the plugin.

        :raises ConfigurationError: for a wrong URL or an unknown option.
        """
        raise ConfigurationError(reason=f"{cls.__name__} cannot be built from a URL.")

    # -- the plugin's half ------------------------------------------------------------------------------------------------

    async def kick(self, message: BrokerMessage) -> None:
        """Put one message into the broker; returns when it is accepted."""
        await self._group.submit(message, self.send_timeout)

    async def kick_many(self, messages: Sequence[BrokerMessage]) -> None:
        """Put a batch into the broker in one round trip: all accepted, or raises."""
        for message in messages:
            await self.kick(message)

    def listen(self) -> AsyncGenerator[bytes | AckableMessage, None]:
        """Yield messages for ever: the classic, simplest way to receive."""
        msg = f"{type(self).__name__} receives by subscribe(), not by listen()."
        raise RuntimeError(msg)

    def subscribe(self, queues: Sequence[str], *, prefetch: int | None = None) -> Subscription:
        """A subscription to some queues, to be entered by the worker."""
        return ListeningSubscription(self.listen, self.resend, delays=Capability.DELAY in self.capabilities)

    async def resend(self, body: bytes, delay: float | None) -> None:
        """Send a body that this broker's formatter wrote once more; for deliveries that the broker cannot give back."""
        message = self.formatter.loads(body)
        DELAY.set(message.labels, delay or None)
        await self.kick(self.formatter.dumps(message))

    # -- sending ------------------------------------------------------------------------------------------------------------

    async def send(self, messages: Sequence[TaskiqMessage]) -> None:
        """Send through the middlewares: all accepted, or `SendTaskError`. What kickers and schedulers call."""
        await self._sender.send(messages)

    @overload
    def kicker(self, task: AsyncTaskiqDecoratedTask[P, R]) -> AsyncKicker[P, R]: ...
    @overload
    def kicker(self, task: "str | Callable[..., Any]") -> AsyncKicker[..., Any]: ...
    def kicker(self, task: Any) -> AsyncKicker[..., Any]:
        """A kicker by task, function or name; a name needs no code of the task here."""
        if isinstance(task, AsyncTaskiqDecoratedTask):
            return cast("AnyTask", task).kicker().with_broker(self)
        if not isinstance(task, str):
            found = next((known for known in self.get_all_tasks().values() if known.original_func is task), None)
            if found is None:
                raise ConfigurationError(reason=f"{task!r} is not a task of this broker.")
            return found.kicker()
        known = self.find_task(task)
        return known.kicker().with_broker(self) if known is not None else AsyncKicker(task, self)

    @overload
    def handle(self, task_id: str, task: None = None) -> AsyncTaskiqTask[Any]: ...

    @overload
    def handle(self, task_id: str, task: AsyncTaskiqDecoratedTask[..., R]) -> AsyncTaskiqTask[R]: ...

    def handle(self, task_id: str, task: AsyncTaskiqDecoratedTask[..., Any] | None = None) -> AsyncTaskiqTask[Any]:
        """A handle from an id; with its task, results get the types of the task's annotation."""
        adapter, name = (None, "?") if task is None else (task.return_adapter, task.task_name)
        return AsyncTaskiqTask(task_id, self.result_backend, adapter, task_name=name, broker=self)

    @property
    def limits(self) -> Limits:
        """Limits of tasks: look at them, change them."""
        return Limits(self)

    @property
    def tasks(self) -> Tasks:
        """Tasks that have been sent: cancel."""
        return Tasks(self)

    @property
    def dead(self) -> DeadLetters:
        """Dead letters: list, show, retry, edit, purge."""
        return DeadLetters(self)

    # -- tasks --------------------------------------------------------------------------------------------------------------

    def find_task(self, task_name: str) -> AnyTask | None:
        """The task of that name, shared tasks included; None if there is none."""
        return self._registry.find(task_name)

    def get_all_tasks(self) -> dict[str, AnyTask]:
        """All tasks by name, shared tasks included."""
        return dict(self._registry.all())

    def adopt(self, task: AnyTask) -> None:
        """Take a task into the registry.

        :raises TaskBrokerMismatchError: if it belongs to another broker.
        :raises TaskNameConflictError: if another function has its name.
        """
        if task.broker is not self:
            raise TaskBrokerMismatchError(broker=task.broker)
        self._registry.add(task)

    def _new_task(self, func: Callable[..., Any], name: str, **parts: Any) -> AnyTask:
        return AsyncTaskiqDecoratedTask(self, name, func, **parts)

    def include_router(self, router: TaskRouter) -> Self:
        """Make a router's tasks this broker's."""
        for task in router.bind(self):
            self.adopt(task)
        return self

    # -- life ---------------------------------------------------------------------------------------------------------------

    def add_event_handler(self, event: TaskiqEvents, handler: EventHandler) -> None:
        """Call `handler(state)` at that moment."""
        self.event_handlers[event].append(handler)

    def with_event_handlers(self, event: TaskiqEvents, *handlers: EventHandler) -> Self:
        """Add several handlers."""
        self.event_handlers[event].extend(handlers)
        return self

    def on_event(self, *events: TaskiqEvents) -> Callable[[H], H]:
        """`add_event_handler` as a decorator."""

        def attach(handler: H) -> H:
            for event in events:
                self.add_event_handler(event, handler)
            return handler

        return attach

    @property
    def home(self) -> anyio.lowlevel.EventLoopToken | None:
        """The event loop in which this process started the broker; None while it has not, as in a forked child."""
        return self._home[1] if self._home is not None and self._home[0] == os.getpid() else None

    async def startup(self) -> None:
        """Check every task's options, then start outbox, handlers, middlewares and the result backend. Idempotent.

        :raises UnsupportedOptionError: for a task option that this broker would ignore.
        """
        if self.home is not None:
            return
        check_options(self, self._registry.all().values())
        if self.outbox is not None and not self.is_worker_process:  # in workers the relay does it
            await self.outbox.broker.startup()
        self._home = os.getpid(), anyio.lowlevel.current_token()
        await self._fire(TaskiqEvents.WORKER_STARTUP if self.is_worker_process else TaskiqEvents.CLIENT_STARTUP)
        await self.chain.startup()
        await self.result_backend.startup()

    async def shutdown(self) -> None:
        """Undo `startup`. Idempotent."""
        if self.home is None:
            return
        self._home = None
        if self.announcer is not None:
            await self.announcer.drain(EVENTS_DRAIN)
        await self._fire(TaskiqEvents.WORKER_SHUTDOWN if self.is_worker_process else TaskiqEvents.CLIENT_SHUTDOWN)
        await self.chain.shutdown()
        await self.result_backend.shutdown()
        if self.outbox is not None and not self.is_worker_process:
            await self.outbox.broker.shutdown()

    async def __aenter__(self) -> Self:
        await self.startup()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.shutdown()

    async def _fire(self, event: TaskiqEvents) -> None:
        for handler in self.event_handlers[event]:
            await maybe_awaitable(handler(self.state))
