"""The supervisor: starts worker processes, replaces those that die, and sees to it that all of them stop in time.

It never imports the application and has no event loop: the process that must survive everything does next to nothing. It
sleeps until a signal or a deadline comes.

| signal | what happens |
|---|---|
| SIGTERM, SIGINT | first: workers get the grace time to finish what runs · second: they give it back · third: SIGKILL |
| SIGQUIT | as the second |
| SIGHUP | workers are replaced one after the other; if it came because the terminal has gone: as SIGTERM |
"""

import logging
import math
import os
import queue
import signal
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from taskiq_core.cli.child_process import ChildProcess
from taskiq_core.cli.exit_codes import CRASHED, RECYCLE, STOPPED, WRONG_CONFIGURATION, describe_exit
from taskiq_core.cli.restarts import HEALTHY, restart_delay
from taskiq_core.cli.run_directory import RunDirectory

logger = logging.getLogger("taskiq.supervisor")

KILL_MARGIN: Final = 1.4
"""Seconds after the grace time when processes are killed."""
LEAVE_MARGIN: Final = 1.7
"""Seconds after the grace time when the supervisor leaves, whatever is left."""
_IDLE: Final = 3600.0
_ECHO: Final = 1.0


@dataclass(slots=True)
class Slot:
    """A place for one process after another."""

    number: int
    child: ChildProcess | None = None
    starts: int = 0
    quick_deaths: int = 0
    start_at: float | None = 0.0
    """When to start the next process, on the monotonic clock; None: never again, or one is running."""
    predecessors: list[Path] = field(default_factory=list[Path])


class Supervisor:
    """Runs `processes` copies of `command`, which must be a list of arguments that `ChildProcess` may add to."""

    def __init__(
        self,
        command: Sequence[str],
        *,
        processes: int = 1,
        grace: float = 30.0,
        burst: bool = False,
        directory: RunDirectory | None = None,
    ) -> None:
        self._command = list(command)
        self._grace = grace
        self._burst = burst
        self._directory = directory
        self._slots = [Slot(number) for number in range(processes)]
        self._rolling: list[Slot] = []
        self._rolled: Slot | None = None
        self._signals: queue.SimpleQueue[int] = queue.SimpleQueue()
        self._stops = 0
        self._leave_at = math.inf
        self._last_stop = (0, -math.inf)
        self._exit_code = STOPPED
        self._had_terminal = os.isatty(0)
        self._lifeline, self._lifeline_end = os.pipe()  # we alone hold the writing end
        self.failure = ""
        """Why the workers could not start, as the first of them put it."""

    def run(self) -> int:
        """Supervise until told to stop, or until nothing is left to do; returns the exit code. Main thread only."""
        self._listen()
        if self._directory is not None:
            self._slots[0].predecessors = self._directory.adopt()
        while self._is_active():
            self._start_due()
            self._wait()
            self._reap()
            self._roll()
            self._kill_overdue()
        if self._directory is not None:
            self._directory.close()
        return self._exit_code

    def _listen(self) -> None:
        # `SimpleQueue.put` is made to be called where a signal has just interrupted anything, `get` included.
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT, signal.SIGHUP, signal.SIGCHLD):
            if number is signal.SIGHUP and signal.getsignal(number) is signal.SIG_IGN:
                continue  # nohup
            signal.signal(number, lambda number, _frame: self._signals.put(number))

    def _is_active(self) -> bool:
        if time.monotonic() >= self._leave_at:
            return False
        return any(slot.child or (slot.start_at is not None and not self._stops) for slot in self._slots)

    # -- starting -----------------------------------------------------------------------------------------------------------

    def _start_due(self) -> None:
        now = time.monotonic()
        for slot in self._slots:
            if not self._stops and slot.start_at is not None and slot.start_at <= now:
                self._start(slot)

    def _start(self, slot: Slot) -> None:
        recorder = self._directory.new_recorder() if self._directory else None
        slot.predecessors = [path for path in slot.predecessors if path.exists()]
        slot.starts += 1
        try:
            slot.child = ChildProcess(self._command, self._lifeline, recorder, slot.predecessors)
        except OSError as error:
            slot.quick_deaths += 2
            slot.start_at = time.monotonic() + restart_delay(slot.quick_deaths)
            logger.error("A worker process could not be started: %s", error)
            return
        slot.start_at = None
        logger.info("Worker process %d started (pid %d)", slot.number, slot.child.pid)

    # -- waiting ------------------------------------------------------------------------------------------------------------

    def _wait(self) -> None:
        """Sleep until a signal comes or something is due, then act on all signals that have come."""
        timeout = max(0.0, self._next_deadline() - time.monotonic())
        try:
            number = self._signals.get(timeout=timeout)
            while True:
                self._handle(number)
                number = self._signals.get_nowait()
        except queue.Empty:
            return

    def _next_deadline(self) -> float:
        deadlines = [time.monotonic() + _IDLE, self._leave_at]
        for slot in self._slots:
            if slot.child and slot.child.kill_at is not None:
                deadlines.append(slot.child.kill_at)
            if slot.start_at is not None and not self._stops:
                deadlines.append(slot.start_at)
        last = self._rolled and self._rolled.child
        if self._rolling and last and last.kill_at is None:
            deadlines.append(last.started + HEALTHY)
        return min(deadlines)

    def _handle(self, number: int) -> None:
        if number in (signal.SIGTERM, signal.SIGINT):
            if self._is_echo(number):
                logger.info("%s too: taken for the same request", signal.Signals(number).name)
            else:
                self._escalate(self._stops + 1)
        elif number == signal.SIGQUIT:
            self._escalate(max(2, self._stops))
        elif number == signal.SIGHUP:
            if self._had_terminal and not os.isatty(0):
                self._escalate(max(1, self._stops))
            elif not self._stops:
                logger.info("SIGHUP: replacing worker processes one after the other")
                self._rolling, self._rolled = [slot for slot in self._slots if slot.child], None

    def _is_echo(self, number: int) -> bool:
        """Ctrl-C under a process manager comes twice: SIGINT from the terminal, SIGTERM from the manager. It is one request."""
        last, self._last_stop = self._last_stop, (number, time.monotonic())
        return last[0] != number and self._last_stop[1] - last[1] < _ECHO

    # -- stopping -----------------------------------------------------------------------------------------------------------

    def _escalate(self, stops: int) -> None:
        if stops == 1:
            logger.info("Stopping: running tasks have %g s to finish", self._grace)
        else:
            logger.warning("Stopping now: running tasks are given back" if stops == 2 else "Killing the worker processes")
        self._stop(stops)

    def _stop(self, stops: int) -> None:
        if not self._stops:
            self._leave_at = time.monotonic() + self._grace + LEAVE_MARGIN
        self._stops = stops
        for slot in self._slots:
            if slot.child is None:
                continue
            slot.child.stop(self._grace + KILL_MARGIN)
            if stops == 2:
                # Not SIGTERM again: service managers signal every process of a unit, and we pass theirs on.
                slot.child.send(signal.SIGQUIT)
            elif stops > 2:
                slot.child.kill_at = 0.0

    def _kill_overdue(self) -> None:
        now = time.monotonic()
        for slot in self._slots:
            if slot.child and slot.child.kill_at is not None and slot.child.kill_at <= now:
                logger.warning("Worker process %d (pid %d) did not end in time: SIGKILL", slot.number, slot.child.pid)
                slot.child.kill()
                slot.child.kill_at = None
                self._exit_code = self._exit_code or (CRASHED if self._stops else STOPPED)

    def _roll(self) -> None:
        """Go on to the next process to replace when the last replacement has proved healthy."""
        if not self._rolling or self._stops:
            return
        last = self._rolled
        if last and not (last.child and last.child.kill_at is None and time.monotonic() >= last.child.started + HEALTHY):
            return
        self._rolled = self._rolling.pop(0)
        if self._rolled.child:
            self._rolled.child.stop(self._grace + KILL_MARGIN)

    # -- reaping ------------------------------------------------------------------------------------------------------------

    def _reap(self) -> None:
        """Reap everything: as process 1 of a container we inherit the orphans of others too."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            for slot in self._slots:
                if slot.child and slot.child.pid == pid:
                    self._ended(slot, slot.child, os.waitstatus_to_exitcode(status))

    def _ended(self, slot: Slot, child: ChildProcess, code: int) -> None:
        slot.child = None
        told = child.kill_at is not None or bool(self._stops)
        report = child.close(code)
        if code in (STOPPED, RECYCLE):
            self._discard(child.recorder)
        else:
            child.kill()
            slot.predecessors += [child.recorder] if child.recorder else []
        if self._stops:
            return
        if code == WRONG_CONFIGURATION and slot.starts == 1:
            self._fail(report or "The worker process could not start.")
        elif code == STOPPED and self._burst and not told:
            logger.info("Worker process %d has nothing left to do", slot.number)
        else:
            self._plan_restart(slot, child, code, told, report)

    def _fail(self, reason: str) -> None:
        self.failure = self.failure or reason
        self._exit_code = WRONG_CONFIGURATION
        self._stop(1)

    def _plan_restart(self, slot: Slot, child: ChildProcess, code: int, told: bool, report: str) -> None:
        now = time.monotonic()
        expected = code == RECYCLE or told
        quick = not expected and now - child.started < HEALTHY
        slot.quick_deaths = slot.quick_deaths + 1 if quick else 0
        delay = restart_delay(slot.quick_deaths)
        slot.start_at = now + delay
        logger.log(
            logging.INFO if expected or code == STOPPED else logging.ERROR,
            "Worker process %d (pid %d) ended: %s; a new one starts %s%s",
            slot.number,
            child.pid,
            describe_exit(code),
            f"in {delay:g} s" if delay else "now",
            f"\n{report}" if report else "",
        )

    def _discard(self, recorder: Path | None) -> None:
        if recorder is not None:
            recorder.unlink(missing_ok=True)
