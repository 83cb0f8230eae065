"""What a worker asks a sandbox process to do, and what it answers."""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from taskiq_core.broker import AnyTask
from taskiq_core.delivery import Delivery
from taskiq_core.message import TaskiqMessage
from taskiq_core.result_codec import dump_result, load_result
from taskiq_core.wire import pack, unpack
from taskiq_core.worker.outcome import Outcome
from taskiq_core.worker.verdicts import Ending


@dataclass(frozen=True, slots=True)
class SandboxRequest:
    """Where to find the task, and one message for it."""

    module: str
    path: str
    """Dotted path of the task inside its module."""
    main: str | None
    """File of the parent's `__main__`, where the task is defined there."""
    cwd: str
    sys_path: list[str]
    body: bytes

    @classmethod
    def of(cls, task: AnyTask, body: bytes) -> "SandboxRequest | None":
        """A request for a task; None where another process could not import it."""
        func = task.original_func
        module, path = getattr(func, "__module__", None), getattr(func, "__qualname__", "<lambda>")
        main: str | None = None
        if module in ("__main__", "__mp_main__"):
            main = getattr(sys.modules.get(module), "__file__", None)
            if main is None:
                return None
        if not module or "<" in path:
            return None
        return cls(module, path, main and str(Path(main).resolve()), str(Path.cwd()), list(sys.path), body)

    def dump(self) -> bytes:
        """As bytes."""
        return pack([self.module, self.path, self.main, self.cwd, self.sys_path, self.body])

    @classmethod
    def load(cls, data: bytes) -> "SandboxRequest":
        """From `dump`'s bytes."""
        return cls(*unpack(data))


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
