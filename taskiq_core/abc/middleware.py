"""What wraps sending and running."""

from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Union

from taskiq_core.abc.sender import Sender
from taskiq_core.message import TaskiqMessage
from taskiq_core.result import TaskiqResult

CallNext = Callable[[TaskiqMessage], Awaitable[Any]]


class TaskiqMiddleware:
    """Hooks, sync or async; one that is not overridden costs nothing.

    `pre_send`, `pre_execute` and `around_execute` run in the order of registration, the others in reverse. `self.broker`
    is set when the middleware is added. A hook that raises before the run ends the task with an error result; one that
    raises after it is logged and harms nobody.
    """

    broker: Sender

    def set_broker(self, broker: Sender) -> None:
        """Called once, when the middleware is added."""
        self.broker = broker

    def startup(self) -> Union[Coroutine[Any, Any, None], None]:
        """With the broker."""

    def shutdown(self) -> Union[Coroutine[Any, Any, None], None]:
        """With the broker."""

    def pre_send(self, message: TaskiqMessage) -> Union[TaskiqMessage, Coroutine[Any, Any, TaskiqMessage]]:
        """Before a message is formatted; returns the message to send. Raising refuses the send."""
        return message

    def post_send(self, message: TaskiqMessage) -> Union[Coroutine[Any, Any, None], None]:
        """After the broker has accepted the message."""

    def pre_execute(self, message: TaskiqMessage) -> Union[TaskiqMessage, Coroutine[Any, Any, TaskiqMessage]]:
        """Before the task runs; returns the message to run."""
        return message

    async def around_execute(self, call_next: CallNext, message: TaskiqMessage) -> Any:
        """Around dependencies and function, inside the timeout; returns the task's value."""
        return await call_next(message)

    def post_execute(self, message: TaskiqMessage, result: TaskiqResult[Any]) -> Union[Coroutine[Any, Any, None], None]:
        """After the task has run, however it ended."""

    def on_error(
        self, message: TaskiqMessage, result: TaskiqResult[Any], exception: BaseException
    ) -> Union[Coroutine[Any, Any, None], None]:
        """After the task raised, before `post_execute`; may change the result."""

    def post_save(self, message: TaskiqMessage, result: TaskiqResult[Any]) -> Union[Coroutine[Any, Any, None], None]:
        """After the result is stored."""
