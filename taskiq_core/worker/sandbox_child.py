"""The process behind `SandboxPool`: reads requests from its stdin, runs them, writes outcomes to what was its stdout.

What tasks print goes to the worker's stderr. The process ends at once when the worker does, so that a task never runs on
beside its own redelivery.
"""

import contextvars
import importlib
import inspect
import os
import runpy
import struct
import sys
import threading
import types
from collections.abc import Callable
from functools import partial
from typing import Any, BinaryIO, cast

import anyio
import anyio.from_thread
import anyio.to_thread

from taskiq_core.broker import AnyTask, AsyncBroker
from taskiq_core.decor import AsyncTaskiqDecoratedTask
from taskiq_core.delivery import Delivery
from taskiq_core.exceptions import ResultNotSerializableError
from taskiq_core.result import TaskiqResult
from taskiq_core.worker.execution import Execution, describe
from taskiq_core.worker.outcome import Outcome
from taskiq_core.worker.recorder import Recorder
from taskiq_core.worker.sandbox_request import MAIN, SandboxRequest, dump_outcome
from taskiq_core.worker.settings import WorkerSettings
from taskiq_core.worker.slot import Slot
from taskiq_core.worker.threads import Threads
from taskiq_core.worker.verdicts import Ending

_LENGTH = struct.Struct("!I")


def _read(source: BinaryIO) -> bytes | None:
    head = source.read(_LENGTH.size)
    if len(head) < _LENGTH.size:
        return None
    (length,) = _LENGTH.unpack(head)
    body = source.read(length)
    return body if len(body) == length else None


def _find_broker(request: SandboxRequest) -> AsyncBroker:
    module, _, path = request.origin.partition(":")
    found: Any = _import(module, request.main)
    for name in path.split("."):
        found = getattr(found, name)
    if isinstance(found, AsyncTaskiqDecoratedTask):
        found = cast("AnyTask", found).broker
    elif inspect.isfunction(found):
        found = found()
    if not isinstance(found, AsyncBroker):
        msg = f"{request.origin} is not a broker in a new process but {type(found).__name__}"
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
    def __init__(self) -> None:
        self._brokers: dict[str, tuple[AsyncBroker, Execution]] = {}
        self._slot: Slot | None = None

    async def run(self, data: bytes, imported: Callable[[], None]) -> bytes:
        request = SandboxRequest.load(data)
        delivery = Delivery(request.body)
        if self._slot is None:
            self._slot = Slot(0, Recorder(None, 1), contextvars.copy_context(), lambda: None)
        try:
            execution = await self._execution(request)
            imported()
            message = execution.load(delivery)
            outcome = message if isinstance(message, Outcome) else await execution.run(delivery, message, self._slot)
        except Exception as error:  # noqa: BLE001 - an import error, a failing start-up: the task's failure, not ours
            outcome = _failure(delivery, error)
        try:
            return dump_outcome(outcome)
        except ResultNotSerializableError as error:
            name = outcome.message.task_name if outcome.message else "?"
            return dump_outcome(_failure(delivery, ResultNotSerializableError(task_name=name, reason=error.reason)))

    async def _execution(self, request: SandboxRequest) -> Execution:
        if request.origin not in self._brokers:
            os.chdir(request.cwd)
            sys.path[:] = request.sys_path
            broker = _find_broker(request)
            broker.is_worker_process, broker.origin = True, request.origin
            await broker.startup()
            execution = Execution(broker, WorkerSettings(concurrency=1), Threads(), _no_ack, limits_time=False)
            self._brokers[request.origin] = broker, execution
        broker, execution = self._brokers[request.origin]
        if broker.find_task(request.task_name) is None:
            _import(request.module, request.main)
        if broker.find_task(request.task_name) is None:
            msg = f"In a new process {request.origin} knows no task {request.task_name!r}, also with {request.module} imported."
            raise LookupError(msg)
        return execution


async def _no_ack(delivery: Delivery) -> None:
    """The worker that holds the delivery acknowledges it, after the outcome."""


def _failure(delivery: Delivery, error: BaseException) -> Outcome:
    result = TaskiqResult[Any](is_err=True, return_value=None, error=error)
    return Outcome(delivery, Ending.FAILED, None, result, reason=describe(error))


def _listen(requests: BinaryIO, replies: BinaryIO, portal: anyio.from_thread.BlockingPortal, runner: _Runner) -> None:
    # The next read starts while a task runs: that is how the end of the worker is noticed.
    slot = threading.Semaphore(1)

    def write(frame: bytes = b"") -> None:
        replies.write(_LENGTH.pack(len(frame)) + frame)
        replies.flush()

    def answer(body: bytes) -> None:
        write(portal.call(runner.run, body, write))
        slot.release()

    while (body := _read(requests)) is not None:
        slot.acquire()
        threading.Thread(target=answer, args=(body,), daemon=True).start()
    os._exit(0)


async def _main() -> None:
    requests = os.fdopen(os.dup(0), "rb")
    replies = os.fdopen(os.dup(1), "wb")
    with open(os.devnull) as nothing:  # noqa: PTH123, ASYNC230
        os.dup2(nothing.fileno(), 0)
    os.dup2(2, 1)
    async with anyio.from_thread.BlockingPortal() as portal:
        await anyio.to_thread.run_sync(partial(_listen, requests, replies, portal, _Runner()))


if __name__ == "__main__":
    anyio.run(_main)
