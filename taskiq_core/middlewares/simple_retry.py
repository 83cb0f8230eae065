"""Taskiq's plain retries."""

import logging
from collections.abc import Iterable
from typing import Any

from taskiq_core.abc.middleware import TaskiqMiddleware
from taskiq_core.labels import MAX_RETRIES, RETRY_ON_ERROR, TYPES_OF_EXCEPTIONS
from taskiq_core.message import TaskiqMessage
from taskiq_core.retry import Retry

logger = logging.getLogger("taskiq.retry")


class SimpleRetryMiddleware(TaskiqMiddleware):
    """Retries by label: `@broker.task(retry_on_error=True, max_retries=5)`; for code that comes from Taskiq.

    As there, **`max_retries=5` means five runs**, so four retries: `retry=Retry(4)` in this package's own words, which new
    code should use. A task with a `retry` option of its own is left to it. Without the label `retry_on_error` the default is
    `default_retry_label`; without `max_retries` it is `default_retry_count`.

    Only errors of `types_of_exceptions` are retried (default: every `Exception`); the task label of that name beats it. No
    result is stored while a retry is to come, so `no_result_on_retry=False` changes nothing and is warned about.
    """

    def __init__(
        self,
        default_retry_count: int = 3,
        default_retry_label: bool = False,
        no_result_on_retry: bool = True,
        types_of_exceptions: Iterable[type[BaseException]] | None = None,
    ) -> None:
        self.default_retry_count = default_retry_count
        self.default_retry_label = default_retry_label
        self.types_of_exceptions = None if types_of_exceptions is None else tuple(types_of_exceptions)
        if not no_result_on_retry:
            logger.warning("no_result_on_retry=False has no effect: a run that is to be retried stores no result.")

    def retry_policy(self, message: TaskiqMessage, task: Any = None) -> Retry | None:
        """The policy that the labels of a failed message ask for, or None; labels that cannot be read ask for none.

        `task` is the registered task, whose label `types_of_exceptions` never travels.
        """
        try:
            wanted = RETRY_ON_ERROR.get(message.labels)
            if not (self.default_retry_label if wanted is None else wanted):
                return None
            return self._policy(message, self._types(task))
        except ValueError as error:
            logger.warning("Task %s (%s) is not retried: %s", message.task_name, message.task_id, error)
            return None

    def _policy(self, message: TaskiqMessage, on: tuple[type[BaseException], ...]) -> Retry:
        return Retry(self._retries(message), on=on)

    def _retries(self, message: TaskiqMessage) -> int:
        runs = MAX_RETRIES.get(message.labels)
        return max((self.default_retry_count if runs is None else runs) - 1, 0)

    def _types(self, task: Any) -> tuple[type[BaseException], ...]:
        types = getattr(task, "labels", {}).get(TYPES_OF_EXCEPTIONS, self.types_of_exceptions)
        return (Exception,) if types is None else tuple(types)
