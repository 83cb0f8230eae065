"""Which retry policy holds for a message."""

from typing import Any, Protocol, runtime_checkable

from taskiq_core.broker import AnyTask, AsyncBroker
from taskiq_core.message import TaskiqMessage
from taskiq_core.retry import Retry, next_retry


@runtime_checkable
class RetryPolicyProvider(Protocol):
    """A middleware that gives tasks without a `retry` option a policy."""

    def retry_policy(self, message: TaskiqMessage, task: Any = None) -> Retry | None:
        """The policy for this message, or None."""
        ...


def grant_retry(task: AnyTask, broker: AsyncBroker, message: TaskiqMessage, error: BaseException, retries: int) -> float | None:
    """Seconds until the retry that `error` is granted, or None; the task's own policy beats the middlewares', and
    those the broker's."""
    policy = task.options.retry
    if policy is None:
        for middleware in broker.middlewares:
            if isinstance(middleware, RetryPolicyProvider) and (found := middleware.retry_policy(message, task)) is not None:
                policy = found
                break
    return next_retry(broker.default_retry if policy is None else policy, error, retries)
