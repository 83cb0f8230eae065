"""Listening for what happens to a broker's tasks."""

from collections.abc import Callable
from typing import Any, TypeVar, overload

from taskiq_core.announcer import Announcer
from taskiq_core.exceptions import ConfigurationError
from taskiq_core.task_events import Heard, TaskEvent

A = TypeVar("A", bound=TaskEvent)
B = TypeVar("B", bound=TaskEvent)
C = TypeVar("C", bound=TaskEvent)
R = TypeVar("R")


class BrokerEvents:
    """The part of a broker that has listeners."""

    announcer: Announcer | None = None
    """None as long as nobody listens."""

    @overload
    def on(self, first: Heard[A], /) -> Callable[[Callable[[A], R]], Callable[[A], R]]: ...
    @overload
    def on(self, first: Heard[A], second: Heard[B], /) -> Callable[[Callable[[A | B], R]], Callable[[A | B], R]]: ...
    @overload
    def on(
        self, first: Heard[A], second: Heard[B], third: Heard[C], /
    ) -> Callable[[Callable[[A | B | C], R]], Callable[[A | B | C], R]]: ...
    @overload
    def on(self, *events: Heard[TaskEvent]) -> Callable[[Callable[[Any], R]], Callable[[Any], R]]: ...
    def on(self, *events: Heard[TaskEvent]) -> Any:
        """Call the decorated function, sync or async, with every event of these classes and of those below them.

        `TaskFailed` stands for `TaskFailure`. Events happen where tasks are sent (`TaskSent`) and where they run (the others):
        the module must be imported there. Functions run in the event loop, each for one event after the other, beside the
        tasks: none waits for them. One that raises is logged. One that lags by 10,000 events misses the oldest.

        :raises ConfigurationError: for a thing that is no event.
        """
        classes = tuple(_class_of(event) for event in events)
        if not classes:
            raise ConfigurationError(reason="broker.on() needs the classes of events, as in broker.on(TaskStarted).")

        def attach(listener: Callable[[Any], R]) -> Callable[[Any], R]:
            if self.announcer is None:
                self.announcer = Announcer()
            self.announcer.add(listener, classes)
            return listener

        return attach


def _class_of(event: Any) -> type[TaskEvent]:
    heard_as = getattr(event, "heard_as", None)
    if heard_as is None or not isinstance(event, type):
        reason = f"{event!r} is no event of a task: see taskiq_core.task_events. Moments of a broker are for on_event()."
        raise ConfigurationError(reason=reason)
    found: type[TaskEvent] = heard_as()
    return found
