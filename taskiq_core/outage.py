"""Trouble that lasts: told when it begins and when it is over, rather than at each try."""

import logging

from taskiq_core import clock
from taskiq_core.exceptions import TaskiqError


class Outage:
    """One kind of trouble. `relief` says what works again, as a sentence that " after 3.2 s" can follow.

    With `traces` an error that is not of the framework brings its traceback.
    """

    def __init__(self, logger: logging.Logger, relief: str, *, traces: bool = False) -> None:
        self._logger = logger
        self._relief = relief
        self._traces = traces
        self._since: float | None = None

    @property
    def seconds(self) -> float:
        """How long it has lasted; 0 if there is none."""
        return 0.0 if self._since is None else clock.monotonic() - self._since

    def say(self, what: str, error: BaseException) -> None:
        """Log it: the first time in an outage as a warning, then for debugging, in one line."""
        if self._since is not None:
            self._logger.debug("%s: %s: %s", what, type(error).__name__, error)
            return
        self._since = clock.monotonic()
        trace = error if self._traces and not isinstance(error, TaskiqError) else None
        self._logger.warning("%s: %s: %s", what, type(error).__name__, error, exc_info=trace)

    def over(self) -> None:
        """It works; if it was told that it did not, this is told too."""
        if self._since is not None:
            self._logger.info("%s after %.1f s", self._relief, clock.monotonic() - self._since)
            self._since = None
