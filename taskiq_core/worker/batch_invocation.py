"""The call of a task that takes several messages at once."""

from collections.abc import Callable, Sequence
from typing import Any, cast

import anyio

from taskiq_core.broker import AnyTask, AsyncBroker
from taskiq_core.context import Context
from taskiq_core.exceptions import ConfigurationError, TaskFailed
from taskiq_core.message import TaskiqMessage
from taskiq_core.worker.invocation import AskForTime, Invocation
from taskiq_core.worker.meeting import Member
from taskiq_core.worker.slot import Slot
from taskiq_core.worker.threads import Threads
from taskiq_core.worker.time_limit import exceeded


class BatchInvocation(Invocation):
    """Each message is called by itself, and what it calls is the meeting of its batch; where there is none, it is one."""

    def __init__(self, task: AnyTask, broker: AsyncBroker, threads: Threads, ask_for_time: AskForTime | None = None) -> None:
        super().__init__(task, broker, threads, ask_for_time)
        if self._resolver is not None and self._resolver.needs(Context):
            raise ConfigurationError(
                reason=f"Task {task.task_name!r} takes batches, and one of its dependencies asks for the Context or the "
                "progress of a message: there are several. Leave it out; what the messages bring is in the list."
            )
        self.plain = False
        self._run_timeout, self._timeout = self._timeout, None

    async def _with_dependencies(self, message: TaskiqMessage, context: Context, slot: Slot) -> Any:
        args, kwargs = self._bind(message.args, message.kwargs)
        (element,) = (*args, *kwargs.values())
        if isinstance(slot, Member):
            return await slot.join(element)
        (value,) = await self.call_for([element], context, slot)
        if isinstance(value, BaseException):
            raise value
        return value

    async def call_for(self, elements: list[Any], context: Context, slot: Slot) -> Sequence[Any]:
        """Call the function once; returns a value or an exception for each element.

        :raises TimeoutError: if it took longer than the task's timeout.
        :raises BaseException: whatever the function or a dependency raised.
        """
        timeout = self._run_timeout
        with anyio.move_on_after(timeout):
            return self._each(await self._call([elements], {}, context, slot), len(elements))
        assert timeout is not None
        raise exceeded(self.task.task_name, timeout)

    def _each(self, returned: Any, count: int) -> Sequence[Any]:
        if returned is None:
            return [None] * count
        what = type(returned).__name__
        if isinstance(returned, list | tuple):
            values = cast("Sequence[Any]", returned)
            if len(values) == count:
                return values
            what = f"{what} of {len(values)}"
        msg = f"Task {self.task.task_name!r} got {count} messages and returned a {what}. It returns None, or a list of as many."
        raise TaskFailed(msg)


def compile_invocation(
    task: AnyTask, broker: AsyncBroker, threads: Threads, ask_for_time: AskForTime | None = None
) -> Invocation:
    """The invocation of a task.

    :raises ConfigurationError: for a task that cannot work.
    """
    kind: Callable[..., Invocation] = Invocation if task.options.batch is None else BatchInvocation
    return kind(task, broker, threads, ask_for_time)
