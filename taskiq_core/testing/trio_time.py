"""Virtual time on trio."""

import math
import random
from collections.abc import Hashable
from typing import Any

import trio
from trio._core import _run as _trio_run  # pyright: ignore[reportPrivateUsage]

from taskiq_core.testing.asyncio_time import Time

_INSTANT = 1e-9
"""Seconds to wait for nothing: more than none, which would keep `wait_all_tasks_blocked` from its turn."""


class TrioLoop:
    """The running trio. The clock that it was started with is replaced for a while, and so is the die that orders its tasks.

    Neither is public in a run that has begun; trio's own test tools go the same way.
    """

    def __init__(self) -> None:
        self._module: Any = _trio_run
        self._runner: Any = self._module.GLOBAL_RUN_CONTEXT.runner
        self._before: Any = (
            self._runner.clock,
            self._runner.clock_autojump_threshold,
            self._module._r,
            self._module._ALLOW_DETERMINISTIC_SCHEDULING,
        )
        self._watch: _Watch | None = None

    def take_over(self, time: Time) -> None:
        clock = _VirtualClock(time, self._runner)
        self._watch = _Watch(time, clock)
        self._set(clock, math.inf, random.Random(0), True)
        trio.lowlevel.add_instrument(self._watch)

    def give_back(self) -> None:
        if self._watch is not None:
            trio.lowlevel.remove_instrument(self._watch)
        self._set(*self._before)

    def sources(self) -> set[Hashable]:
        io: Any = trio.lowlevel.current_statistics().io_statistics
        kinds = ("tasks_waiting_read", "tasks_waiting_write", "tasks_waiting")  # they differ by system
        waiting = sum(getattr(io, kind, 0) for kind in kinds) - 1  # one is trio's own
        return {waiting} if waiting > 0 else set()  # only how many is known, and that it is another number later

    def _set(self, clock: Any, threshold: float, die: random.Random, deterministic: bool) -> None:
        self._runner.clock, self._runner.clock_autojump_threshold = clock, threshold
        self._module._r, self._module._ALLOW_DETERMINISTIC_SCHEDULING = die, deterministic


class _VirtualClock(trio.abc.Clock):
    def __init__(self, time: Time, runner: Any) -> None:
        self._time = time
        self._runner = runner
        self.asked: tuple[float, float] | None = None
        """The deadline that trio waits for in this turn, and the seconds that it was told to wait; None while it need not."""

    def start_clock(self) -> None:
        """Trio runs already."""

    def current_time(self) -> float:
        return self._time.monotonic()

    def deadline_to_sleep_time(self, deadline: float) -> float:
        wait = self._time.real_wait(deadline)
        if self._runner.waiting_for_idle:
            wait = max(_INSTANT, wait)
        self.asked = deadline, wait
        return wait


class _Watch(trio.abc.Instrument):
    """Sees that a wait of trio's has ended without news."""

    def __init__(self, time: Time, clock: _VirtualClock) -> None:
        self._time = time
        self._clock = clock

    def after_io_wait(self, timeout: float) -> None:
        asked, self._clock.asked = self._clock.asked, None
        if asked is None:
            return
        if trio.lowlevel.current_statistics().tasks_runnable:
            self._time.silence.broken()
            return
        deadline, wait = asked
        if timeout < min(wait, 1.0):  # it waits for `wait_all_tasks_blocked`, whose turn is before time's
            return
        self._time.nothing_to_do(deadline)
