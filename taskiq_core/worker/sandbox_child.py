"""The process behind `SandboxPool`: reads requests from its stdin, runs them, writes outcomes to what was its stdout.

First comes one `SandboxSetup`. Each request is answered by two frames: an empty one when the task has been imported and its
broker started, or a text that says why not; then, after an empty one, the outcome. Before that may come any number of frames
that ask for more time.

What tasks print goes to the worker's stdout, whose descriptor is the argument. The process ends at once when the worker
does, so that a task never runs on beside its own redelivery.
"""

import contextvars
import importlib
import inspect
import logging
import os
import runpy
import signal
import sys
import threading
import types
from functools import partial
from typing import Any, cast

import anyio
import anyio.from_thread
import anyio.to_thread

from taskiq_core.acks import parse_acknowledge_type
from taskiq_core.broker import AnyTask, AsyncBroker
from taskiq_core.decor import AsyncTaskiqDecoratedTask
from taskiq_core.delivery import Delivery
from taskiq_core.exceptions import ResultNotSerializableError
from taskiq_core.result import TaskiqResult
from taskiq_core.worker.execution import Execution
from taskiq_core.worker.invocation import AskForTime
from taskiq_core.worker.isolation import drive
from taskiq_core.worker.outcome import Outcome
from taskiq_core.worker.recorder import Recorder
from taskiq_core.worker.sandbox_pipe import WorkerPipe, end_with, leave, pack_more_time
from taskiq_core.worker.sandbox_request import LOGGING, MAIN, SandboxSetup, TaskPlace, dump_outcome, load_request
from taskiq_core.worker.settings import WorkerSettings
from taskiq_core.worker.slot import Slot
from taskiq_core.worker.threads import Threads
from taskiq_core.worker.tracebacks import describe
from taskiq_core.worker.verdicts import Ending

logger = logging.getLogger("taskiq.worker")


def _find_broker(place: TaskPlace) -> AsyncBroker:
    module, _, path = place.origin.partition(":")
    found: Any = _import(module, place.main)
    for name in path.split("."):
        found = getattr(found, name)
    if isinstance(found, AsyncTaskiqDecoratedTask):
        found = cast("AnyTask", found).broker
    elif inspect.isfunction(found):
        found = found()
    if not isinstance(found, AsyncBroker):
        msg = f"{place.origin} is not a broker in a new process but {type(found).__name__}"
        raise TypeError(msg)
    return found


def _import(module: str, main: str | None) -> types.ModuleType:
    return _main_module(main) if module in MAIN and main is not None else importlib.import_module(module)


def _main_module(path: str) -> types.ModuleType:
    # As multiprocessing does it: the script runs again under another name, so that its `if __name__ ...` part does not.
    known = sys.modules.get("__mp_main__")
    if known is not None:
        return known
    module = types.ModuleType("__mp_main__")
    module.__file__ = path
    sys.modules["__mp_main__"] = module
    module.__dict__.update(runpy.run_path(path, run_name="__mp_main__"))
    return module


class _Runner:
    def __init__(self, settings: WorkerSettings, ask_for_time: AskForTime) -> None:
        self._settings = settings
        self._ask_for_time = ask_for_time
        self._ready: dict[str, tuple[AsyncBroker, Execution, Slot]] = {}

    async def prepare(self, place: TaskPlace) -> str | None:
        """Import the task and start its broker; returns what is in the way."""
        try:
            await self._prepare(place)
        except BaseException as error:  # noqa: BLE001 - a module may do anything, `sys.exit()` included
            return describe(error)
        return None

    async def _prepare(self, place: TaskPlace) -> None:
        if place.origin not in self._ready:
            broker = _find_broker(place)
            broker.is_worker_process, broker.origin = True, place.origin
            await broker.startup()
            execution = Execution(broker, self._settings, Threads(), _no_ack, self._ask_for_time)
            slot = Slot(0, Recorder(None, 1), contextvars.copy_context(), lambda: None)
            self._ready[place.origin] = broker, execution, slot
        broker = self._ready[place.origin][0]
        if broker.find_task(place.task_name) is None:
            _import(place.module, place.main)
        if broker.find_task(place.task_name) is None:
            msg = f"in a new process {place.origin} knows no task {place.task_name!r}, also with {place.module} imported"
            raise LookupError(msg)

    async def run(self, place: TaskPlace, body: bytes) -> bytes:
        """Run the task of one message, after `prepare`; returns its outcome."""
        _, execution, slot = self._ready[place.origin]
        delivery = Delivery(body)
        message = execution.load(delivery)
        try:
            if isinstance(message, Outcome):
                outcome = message
            else:
                run = execution.run(delivery, message, slot)
                outcome = await drive(run, slot.context(), slot.suspended, slot.resumed)
        except Exception as error:  # noqa: BLE001 - a hook: the task's failure, not ours
            outcome = _failure(delivery, error)
        try:
            return dump_outcome(outcome)
        except Exception as error:  # noqa: BLE001 - whatever a value's own code raises
            name = outcome.message.task_name if outcome.message else "?"
            reason = error.reason if isinstance(error, ResultNotSerializableError) else describe(error)
            return dump_outcome(_failure(delivery, ResultNotSerializableError(task_name=name, reason=reason)))


async def _no_ack(delivery: Delivery) -> None:
    """The worker that holds the delivery acknowledges it."""


def _failure(delivery: Delivery, error: BaseException) -> Outcome:
    result = TaskiqResult[Any](is_err=True, return_value=None, error=error)
    return Outcome(delivery, Ending.FAILED, None, result, reason=describe(error))


def _listen(pipe: WorkerPipe, portal: anyio.from_thread.BlockingPortal, runner: _Runner) -> None:
    # The next read starts while a task runs: that is how the end of the worker is noticed.
    free = threading.Semaphore(1)

    def answer(request: bytes) -> None:
        try:
            place, body = load_request(request)
            obstacle = portal.call(runner.prepare, place)
            pipe.write((obstacle or "").encode(errors="replace"))
            if obstacle is None:
                pipe.write(portal.call(runner.run, place, body))
        except BaseException:
            logger.exception("A sandbox process ends after an error")
            os._exit(1)
        free.release()

    while (request := pipe.read()) is not None:
        free.acquire()
        threading.Thread(target=answer, args=(request,), daemon=True).start()
    leave()


async def _serve(pipe: WorkerPipe, settings: WorkerSettings) -> None:
    async with anyio.from_thread.BlockingPortal() as portal:
        runner = _Runner(settings, lambda seconds: pipe.write(pack_more_time(seconds)))
        await anyio.to_thread.run_sync(partial(_listen, pipe, portal, runner))


def _ignore(number: int, frame: types.FrameType | None) -> None:
    """Terminals and service managers signal everybody, but it is the worker that decides when its tasks end."""


def _ignore_signals() -> None:
    # By a handler: SIG_IGN would be inherited by programs that tasks start. What tasks fork gets back what is usual.
    usual = {number: signal.signal(number, _ignore) for number in (signal.SIGINT, signal.SIGTERM)}

    def reset() -> None:
        for number, handler in usual.items():
            if signal.getsignal(number) is _ignore:
                signal.signal(number, handler)

    if sys.platform != "win32":
        os.register_at_fork(after_in_child=reset)


def _configure_logging() -> None:
    target, *arguments = os.environ.get(LOGGING, "").split()
    module, _, function = target.partition(":")
    getattr(importlib.import_module(module), function)(*arguments)


def main() -> None:
    """Serve the worker that started this process until it ends."""
    _ignore_signals()
    pipe = WorkerPipe(int(sys.argv[1]))
    data = pipe.read()
    if data is None:
        return
    setup = SandboxSetup.load(data)
    if setup.lifeline is not None:
        end_with(setup.lifeline)
    sys.path[:] = setup.sys_path
    if LOGGING in os.environ:
        _configure_logging()
    settings = WorkerSettings(concurrency=1, ack_type=parse_acknowledge_type(setup.ack_type))
    serve = partial(_serve, pipe, settings)
    if setup.loop == "trio":
        anyio.run(serve, backend="trio")
    else:
        anyio.run(serve, backend="asyncio", backend_options={"use_uvloop": setup.loop == "uvloop"})


if __name__ == "__main__":
    main()
