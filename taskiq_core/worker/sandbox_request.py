"""What a worker asks a sandbox process to do, and what it answers."""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from taskiq_core.broker import AnyTask, AsyncBroker
from taskiq_core.delivery import Delivery
from taskiq_core.message import TaskiqMessage
from taskiq_core.result_codec import dump_result, load_result
from taskiq_core.wire import pack, unpack
from taskiq_core.worker.outcome import Outcome
from taskiq_core.worker.verdicts import Ending

MAIN = frozenset({"__main__", "__mp_main__"})
"""Names of the module that a program was started with, in it and in the processes that it starts."""


LOGGING = "TASKIQ_SANDBOX_LOGGING"
"""Environment variable: `module:function argument ...`, which a sandbox process calls to log as its worker does."""


@dataclass(frozen=True, slots=True)
class SandboxSetup:
    """What a process is told once, before anything of the application is imported. It inherits the working directory."""

    loop: str
    """asyncio, uvloop or trio."""
    sys_path: list[str]
    ack_type: str
    """The worker's, for tasks and messages that name none."""
    lifeline: int | None
    """Descriptor of a pipe that ends with the worker."""

    def dump(self) -> bytes:
        """As bytes."""
        return pack([self.loop, self.sys_path, self.ack_type, self.lifeline])

    @classmethod
    def load(cls, data: bytes) -> "SandboxSetup":
        """From `dump`'s bytes."""
        return cls(*unpack(data))


@dataclass(frozen=True, slots=True)
class TaskPlace:
    """Where another process finds a task."""

    origin: str
    """`module:path` of the broker, of a function that makes it, or of the task itself."""
    module: str
    """Where the task's function is defined: importing it registers the task."""
    task_name: str
    main: str | None
    """File of the parent's `__main__`, where one of the two modules is that."""

    @classmethod
    def of(cls, broker: AsyncBroker, task: AnyTask) -> "TaskPlace | None":
        """The place of a task of `broker`; None where another process could not find it. Looks through all modules."""
        func = task.original_func
        module = getattr(func, "__module__", None) or "__main__"
        origin = broker.origin = broker.origin or _place_of(broker)
        if origin is None:
            path = getattr(func, "__qualname__", "<lambda>")
            if "<" in path:
                return None
            origin = f"{module}:{path}"
        main: str | None = None
        if not MAIN.isdisjoint((module, origin.partition(":")[0])):
            main = getattr(sys.modules.get("__main__"), "__file__", None)
            if main is None:
                return None
        return cls(origin, module, task.task_name, main and str(Path(main).resolve()))

    def request(self, body: bytes) -> bytes:
        """What a process is asked: to run this task for a message."""
        return pack([self.origin, self.module, self.task_name, self.main, body])


def load_request(data: bytes) -> tuple[TaskPlace, bytes]:
    """Place and message of a request's bytes."""
    *place, body = unpack(data)
    return TaskPlace(*place), body


def _place_of(broker: AsyncBroker) -> str | None:
    # A name of the main module is the last resort: finding it means to run the script again.
    for name, module in sorted(sys.modules.items(), key=lambda item: item[0] in MAIN):
        for attribute, value in list(getattr(module, "__dict__", {}).items()):
            if value is broker:
                return f"{name}:{attribute}"
    return None


def dump_outcome(outcome: Outcome) -> bytes:
    """An outcome, for the worker that holds the delivery.

    :raises ResultNotSerializableError: if the result cannot be expressed.
    """
    result = None if outcome.result is None else dump_result(outcome.result)
    manual = outcome.manual and not outcome.acked
    return pack(
        [outcome.ending.name, outcome.store, outcome.result_ttl, outcome.delay, outcome.reason, outcome.body, manual, result]
    )


def load_outcome(data: bytes, delivery: Delivery, message: TaskiqMessage) -> Outcome:
    """The outcome of `dump_outcome`'s bytes, for this delivery."""
    fields: list[Any] = unpack(data)
    name, store, ttl, delay, reason, body, manual, result = fields
    return Outcome(
        delivery,
        Ending[name],
        message,
        None if result is None else load_result(result),
        store,
        ttl,
        delay,
        reason,
        body,
        manual,
    )
