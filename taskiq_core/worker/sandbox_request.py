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


@dataclass(frozen=True, slots=True)
class SandboxRequest:
    """Where to find the task, and one message for it."""

    origin: str
    """`module:path` of the broker, of a function that makes it, or of the task itself."""
    module: str
    """Where the task's function is defined: importing it registers the task."""
    task_name: str
    main: str | None
    """File of the parent's `__main__`, where one of the two modules is that."""
    cwd: str
    sys_path: list[str]
    body: bytes

    @classmethod
    def of(cls, broker: AsyncBroker, task: AnyTask, body: bytes) -> "SandboxRequest | None":
        """A request for a task of `broker`; None where another process could not find it."""
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
        return cls(origin, module, task.task_name, main and str(Path(main).resolve()), str(Path.cwd()), list(sys.path), body)

    def dump(self) -> bytes:
        """As bytes."""
        return pack([self.origin, self.module, self.task_name, self.main, self.cwd, self.sys_path, self.body])

    @classmethod
    def load(cls, data: bytes) -> "SandboxRequest":
        """From `dump`'s bytes."""
        return cls(*unpack(data))


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
