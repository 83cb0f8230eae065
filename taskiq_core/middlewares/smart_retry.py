"""Taskiq's retries with delays."""

import logging
from collections.abc import Iterable

from taskiq_core.abc.schedule_source import ScheduleSource
from taskiq_core.labels import DELAY
from taskiq_core.message import TaskiqMessage
from taskiq_core.middlewares.simple_retry import SimpleRetryMiddleware
from taskiq_core.retry import Retry

logger = logging.getLogger("taskiq.retry")


class SmartRetryMiddleware(SimpleRetryMiddleware):
    """`SimpleRetryMiddleware` with a wait before each retry; the number of runs is counted as there.

    The wait is the label `delay`, else `default_delay` (seconds); with `use_delay_exponent` it is that times the number of the
    retry, at most `max_delay_exponent` seconds (what Taskiq calls exponential is linear). `use_jitter` spreads it over its
    upper half, as `Retry(jitter=True)` does, where Taskiq adds up to a second.

    The broker, or the worker for a broker without delays, keeps what waits. So a `schedule_source` is not needed: one that is
    given is warned about, and anything else in its place is a TypeError.
    """

    def __init__(
        self,
        *,
        default_retry_count: int = 3,
        default_retry_label: bool = False,
        no_result_on_retry: bool = True,
        default_delay: float = 5,
        use_jitter: bool = False,
        use_delay_exponent: bool = False,
        max_delay_exponent: float = 60,
        schedule_source: ScheduleSource | None = None,
        types_of_exceptions: Iterable[type[BaseException]] | None = None,
    ) -> None:
        super().__init__(default_retry_count, default_retry_label, no_result_on_retry, types_of_exceptions)
        self.default_delay = default_delay
        self.use_jitter = use_jitter
        self.use_delay_exponent = use_delay_exponent
        self.max_delay_exponent = max_delay_exponent
        if schedule_source is not None:
            _warn_about(schedule_source)

    def _policy(self, message: TaskiqMessage, on: tuple[type[BaseException], ...]) -> Retry:
        delay = DELAY.get(message.labels)
        delay = self.default_delay if delay is None else delay
        return Retry(
            self._retries(message),
            delay=delay,
            backoff="linear" if self.use_delay_exponent else "fixed",
            max_delay=self.max_delay_exponent if self.use_delay_exponent else delay,
            jitter=self.use_jitter,
            on=on,
        )


def _warn_about(schedule_source: object) -> None:
    if not isinstance(schedule_source, ScheduleSource):
        msg = f"schedule_source must be a ScheduleSource, not {type(schedule_source).__name__}"
        raise TypeError(msg)
    logger.warning("schedule_source is not used: delayed retries wait in the broker, or in the worker where it has no delays.")
