"""The call itself: dependencies, arguments, timeout, coroutine or thread."""

import functools
import inspect
from collections.abc import Awaitable, Callable
from typing import Any

from taskiq_core.abc.middleware import CallNext
from taskiq_core.acks import AcknowledgeType
from taskiq_core.broker import AnyTask, AsyncBroker
from taskiq_core.context import Context, context_values
from taskiq_core.depends.resolver import Resolver
from taskiq_core.exceptions import ConfigurationError
from taskiq_core.labels import TIMEOUT
from taskiq_core.message import TaskiqMessage
from taskiq_core.signature import compile_arguments
from taskiq_core.worker.sandbox_request import TaskPlace
from taskiq_core.worker.slot import Slot
from taskiq_core.worker.threads import Threads
from taskiq_core.worker.time_limit import Home, TimeLimit, within

AskForTime = Callable[[float], None]
Around = Callable[[CallNext, TaskiqMessage], Awaitable[Any]]


class Invocation:
    """One task, compiled: everything that can be decided before the first message is decided here.

    `ask_for_time` reaches whoever limits the time of its runs; None: that is done here.
    """

    def __init__(self, task: AnyTask, broker: AsyncBroker, threads: Threads, ask_for_time: AskForTime | None = None) -> None:
        func = task.original_func
        self.task = task
        self._broker = broker
        self._threads = threads
        self._resolver = Resolver.of(func)
        injected = frozenset[str]() if self._resolver is None else self._resolver.names
        self._bind = compile_arguments(
            task.message_func, task_name=task.task_name, injected=injected, cast=task.options.cast_types
        )
        self._is_async = inspect.iscoroutinefunction(func) or inspect.iscoroutinefunction(type(func).__call__)
        if task.options.executor == "process":
            _check_process(task, broker)
        if task.options.executor == "thread" and self._is_async:
            raise ConfigurationError(
                reason=f"Task {task.task_name!r} asks for executor='thread', but it is async and runs on the event loop: "
                "make it a plain `def`, or drop the option."
            )
        self._timeout = task.options.timeout if ask_for_time is None else None
        self._ask_for_time = ask_for_time
        self._home: Home | None = None
        self.plain = self._resolver is None and self._is_async
        """Whether nobody would see the context of a call, unless a hook does."""

    def start(self, message: TaskiqMessage) -> Awaitable[Any]:
        """The call of a plain one, which needs no context.

        :raises Exception: as `call`, or when it is awaited.
        """
        timeout = self._timeout_of(message) if message.labels else self._timeout
        args, kwargs = self._bind(message.args, message.kwargs)
        running: Awaitable[Any] = self.task.original_func(*args, **kwargs)
        return running if timeout is None else within(timeout, running, message.task_name)

    def _timeout_of(self, message: TaskiqMessage) -> float | None:
        return None if self._ask_for_time is not None else TIMEOUT.get(message.labels) or self._timeout

    async def call(self, message: TaskiqMessage, context: Context, slot: Slot, around: Around | None) -> Any:
        """Run the task for one message and return its value.

        :raises ArgumentError: if the message's arguments do not fit; the function was not called.
        :raises TimeoutError: if it took longer than its timeout; a thread then runs on.
        :raises BaseException: whatever the function or a dependency raised.
        """
        if self.plain and around is None:
            return await self.start(message)
        timeout = self._timeout_of(message)
        if self._ask_for_time is not None:
            context.limited(self._ask_for_time)
        if timeout is None and around is None:
            return await self._with_dependencies(message, context, slot)
        work: CallNext = functools.partial(self._with_dependencies, context=context, slot=slot)
        running = work(message) if around is None else around(work, message)
        if timeout is None:
            return await running
        self._home = self._home or Home()
        limit = TimeLimit(timeout, self._home)
        with limit.scope:
            context.limited(limit.extend)
            try:
                return await running
            finally:
                context.limited(None)
        if limit.scope.cancelled_caught:
            raise limit.exceeded(message.task_name)
        return None

    def _with_dependencies(self, message: TaskiqMessage, context: Context, slot: Slot) -> Awaitable[Any]:
        args, kwargs = self._bind(message.args, message.kwargs)
        return self._call(args, kwargs, context, slot)

    def _call(self, args: list[Any], kwargs: dict[str, Any], context: Context, slot: Slot) -> Awaitable[Any]:
        if self._resolver is None:
            return self._function(args, kwargs, slot)
        return self._injected(self._resolver, args, kwargs, context, slot)

    async def _injected(self, resolver: Resolver, args: list[Any], kwargs: dict[str, Any], context: Context, slot: Slot) -> Any:
        values = context_values(context, self._broker.custom_dependency_context)
        async with resolver.resolve(values, self._broker.dependency_overrides) as injected:
            return await self._function(args, {**injected, **kwargs}, slot)

    def _function(self, args: list[Any], kwargs: dict[str, Any], slot: Slot) -> Awaitable[Any]:
        function = self.task.original_func
        running: Awaitable[Any] = (
            function(*args, **kwargs) if self._is_async else self._in_thread(functools.partial(function, *args, **kwargs), slot)
        )
        return running

    async def _in_thread(self, call: Callable[[], Any], slot: Slot) -> Any:
        slot.enter_thread()
        try:
            value = await self._threads.run(call, self.task.task_name, slot.in_thread, slot.task_ids)
        finally:
            slot.leave_thread()
        return await value if inspect.isawaitable(value) else value


def _check_process(task: AnyTask, broker: AsyncBroker) -> None:
    if TaskPlace.of(broker, task) is None:
        raise ConfigurationError(
            reason=f"Task {task.task_name!r} asks for executor='process', but another process cannot import its function: "
            "give its broker a global name in a module, or define the task at the top level of one under its own name."
        )
    ack_type = task.options.ack_type
    if ack_type is AcknowledgeType.WHEN_RECEIVED or ack_type is AcknowledgeType.MANUAL:
        raise ConfigurationError(
            reason=f"Task {task.task_name!r} asks for executor='process' and ack_type={ack_type.value!r}, but a "
            "process of its own cannot acknowledge: the worker does it, when the task has ended. Drop one of the two."
        )
