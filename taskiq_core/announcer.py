"""Events on their way to listeners, beside everything else."""

import contextvars
import inspect
import logging
from collections import deque
from collections.abc import Callable
from typing import Any

import anyio
import anyio.lowlevel

from taskiq_core import clock
from taskiq_core.background import BackgroundTask
from taskiq_core.middleware_chain import is_from_outside
from taskiq_core.task_events import TaskEvent

logger = logging.getLogger("taskiq.events")

_MOST = 10_000
"""Events that wait for one listener; then the oldest are dropped."""

Listen = Callable[[Any], Any]


class Announcer:
    """Hands each event to every listener that wants its class; never blocks and never raises.

    Each listener is called for one event after the other, in the order in which they happened, and waits for no other.
    """

    def __init__(self) -> None:
        self._listeners: list[_Listener] = []
        self._wanted_by: dict[type[TaskEvent], list[_Listener]] = {}

    def add(self, listen: Listen, classes: tuple[type[TaskEvent], ...]) -> None:
        """Call `listen` for events of these classes and of those below them."""
        self._listeners.append(_Listener(listen, classes))
        self._wanted_by.clear()

    def wants(self, kind: type[TaskEvent]) -> bool:
        """Whether anybody listens for events of this class."""
        return bool(self._who_wants(kind))

    def announce(self, event: TaskEvent) -> None:
        """Have it told; must be called in the event loop."""
        for listener in self._who_wants(type(event)):
            listener.put(event)

    async def drain(self, seconds: float) -> None:
        """Wait until all are told, or for so long. What is announced later is told again."""
        deadline = clock.monotonic() + seconds
        for listener in self._listeners:
            await listener.drain(max(0.0, deadline - clock.monotonic()))

    def _who_wants(self, kind: type[TaskEvent]) -> "list[_Listener]":
        found = self._wanted_by.get(kind)
        if found is None:
            found = self._wanted_by[kind] = [one for one in self._listeners if issubclass(kind, one.classes)]
        return found


class _Listener:
    def __init__(self, listen: Listen, classes: tuple[type[TaskEvent], ...]) -> None:
        self.classes = classes
        self._listen = listen
        self._name = str(getattr(listen, "__qualname__", listen))
        self._events: deque[TaskEvent] = deque()
        self._dropped = 0
        self._draining = False
        self._arrived: anyio.Event | None = None
        self._task: BackgroundTask | None = None
        self._loop: anyio.lowlevel.EventLoopToken | None = None
        self._context = contextvars.copy_context()

    def put(self, event: TaskEvent) -> None:
        if len(self._events) >= _MOST:
            self._events.popleft()
            self._dropped += 1
            if self._dropped == 1:
                logger.warning("Listener %s cannot follow: of its events the oldest are dropped.", self._name)
        self._events.append(event)
        loop = anyio.lowlevel.current_token()
        if self._task is None or loop != self._loop:  # another loop than the one that it was in has ended without a word
            self._loop = loop
            # In a context of its own: that of the caller is some task's, with what that has set there.
            self._task = self._context.copy().run(BackgroundTask, self._run, f"listener {self._name}")
        elif self._arrived is not None:
            self._arrived.set()

    async def drain(self, seconds: float) -> None:
        if self._task is None:
            return
        self._draining = True
        if self._arrived is not None:
            self._arrived.set()
        await self._task.wait(seconds)
        self._draining = False
        if self._events:
            logger.warning("%d events were not told to listener %s in time.", len(self._events), self._name)
            self._events.clear()

    async def _run(self) -> None:
        try:
            while self._events or not self._draining:
                if self._events:
                    await self._tell(self._events.popleft())
                else:
                    self._catch_up()
                    self._arrived = anyio.Event()
                    await self._arrived.wait()
        finally:
            self._task = self._arrived = None

    async def _tell(self, event: TaskEvent) -> None:
        try:
            answer = self._listen(event)
            if inspect.isawaitable(answer):
                await answer
        except BaseException as error:
            if is_from_outside(error):
                raise
            logger.exception("Listener %s failed for %s of task %s (%s)",
                             self._name, type(event).__name__, event.task_name, event.task_id)  # fmt: skip
        await anyio.lowlevel.checkpoint()

    def _catch_up(self) -> None:
        if self._dropped:
            logger.info("Listener %s follows again; it has missed %d events.", self._name, self._dropped)
            self._dropped = 0
