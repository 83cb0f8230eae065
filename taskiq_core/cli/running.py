"""Run an engine in this process: choose the event loop, turn signals into a stop, and end for certain."""

import importlib.util
import logging
import os
import select
import signal
import sys
import threading
import time
from collections.abc import Awaitable, Callable
from typing import Final, NoReturn, Protocol

import anyio
import anyio.abc

from taskiq_core.cli.exit_codes import CRASHED, WRONG_CONFIGURATION
from taskiq_core.cli.logs import let_go_of_streams
from taskiq_core.exceptions import ConfigurationError

logger = logging.getLogger("taskiq.process")

END_MARGIN: Final = 1.25
"""Seconds after the grace time when a process without a supervisor ends for certain."""
LAST_WORDS: Final = 1.0
"""Seconds that exit handlers and threads get after the engine has ended; who needs more does it at WORKER_SHUTDOWN."""


class Engine(Protocol):
    """Something that runs until it is told to stop: a worker."""

    async def run(self) -> None:
        """Return after a graceful stop."""
        ...

    def stop(self, *, now: bool = False) -> None:
        """Stop gracefully, or at once; may be called again."""
        ...


def run_loop(main: Callable[[], Awaitable[None]], loop: str) -> None:
    """Run `main` on one of `auto`, `asyncio`, `uvloop`, `trio`; `auto` is uvloop where it is installed.

    :raises ConfigurationError: if the loop asked for is not installed.
    """
    if loop in ("uvloop", "trio") and importlib.util.find_spec(loop) is None:
        remedy = 'pip install "taskiq-core[uvloop]"' if loop == "uvloop" else "pip install trio"
        raise ConfigurationError(reason=f"--loop {loop}: {loop} is not installed. Try: {remedy}")
    if loop == "trio":
        anyio.run(main, backend="trio")
    else:
        use_uvloop = loop != "asyncio" and importlib.util.find_spec("uvloop") is not None
        anyio.run(main, backend="asyncio", backend_options={"use_uvloop": use_uvloop})


async def run_engine(engine: Engine, *, grace: float, lifeline: int | None = None) -> None:
    """Run `engine` until it is done or a signal stops it.

    SIGTERM and SIGINT ask for a graceful stop. SIGQUIT asks for a stop now; so does a second SIGTERM or SIGINT, but only
    where there is no supervisor: its own SIGTERM may come in addition to one that a service manager sent to everybody.
    `lifeline` is a file descriptor whose end of file says that the supervisor is dead: then a graceful stop begins. Where no
    supervisor is left to do it, the process ends itself by `grace` + `END_MARGIN`, also if user code blocks the event loop.
    """
    failure: Exception | None = None
    async with anyio.create_task_group() as group:
        await group.start(_watch_signals, engine, None if lifeline is not None else grace + END_MARGIN)
        if lifeline is not None:
            _end_after_supervisor(lifeline, grace + END_MARGIN)
            group.start_soon(_watch_supervisor, engine, lifeline)
        try:
            await engine.run()
        except Exception as error:  # noqa: BLE001 - carried out of the task group as it is, not in an ExceptionGroup
            failure = error
        group.cancel_scope.cancel()
    if failure is not None:
        raise failure


def run_and_leave(run: Callable[[], int], name: str, report: Callable[[str], None]) -> NoReturn:
    """Run, and end the process with the code that `run` returns or that its error means; `report` is told why it cannot run."""
    try:
        code = run()
    except ConfigurationError as error:
        report(str(error))
        code = WRONG_CONFIGURATION
    except Exception:
        logger.exception("The %s ends after an error", name)
        code = CRASHED
    leave(code)


def leave(code: int) -> NoReturn:
    """End the process: in the ordinary way, but within `LAST_WORDS`, also if a thread never returns."""
    _exit_after(LAST_WORDS, code)
    let_go_of_streams()
    sys.exit(code)


async def _watch_signals(
    engine: Engine, exit_within: float | None, *, task_status: anyio.abc.TaskStatus[None] = anyio.TASK_STATUS_IGNORED
) -> None:
    asked = 0
    with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT, signal.SIGQUIT) as signals:
        task_status.started()
        async for number in signals:
            asked += 1
            now = number == signal.SIGQUIT or (asked > 1 and exit_within is not None)
            logger.info("%s: stopping%s", signal.Signals(number).name, " now" if now else "")
            if asked == 1 and exit_within is not None:
                _exit_after(exit_within, CRASHED)
            engine.stop(now=now)


async def _watch_supervisor(engine: Engine, lifeline: int) -> None:
    await anyio.wait_readable(lifeline)
    logger.warning("The supervisor is dead: stopping")
    engine.stop()


def _end_after_supervisor(lifeline: int, seconds: float) -> None:
    # Nothing is ever written to it. Not a blocking read: event loops make the pipe, which all workers share, non-blocking.
    poll = select.poll()
    poll.register(lifeline, select.POLLIN)
    _exit_after(seconds, CRASHED, event=poll.poll)


def _exit_after(seconds: float, code: int, event: Callable[[], object] | None = None) -> None:
    """End the process `seconds` after `event` has returned, from a thread, whatever the rest of the process does then."""

    def wait() -> None:
        if event is not None:
            event()
        time.sleep(seconds)
        os._exit(code)

    threading.Thread(target=wait, name="exit", daemon=True).start()
