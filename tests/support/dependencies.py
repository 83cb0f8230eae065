"""Calling a function with its dependencies as a worker does, with a result backend in memory."""

from collections.abc import Mapping, Sequence
from typing import Any

from taskiq_core.abc.result_backend import AsyncResultBackend
from taskiq_core.capability import Capability
from taskiq_core.context import Context, context_values
from taskiq_core.depends import Resolver
from taskiq_core.depends.progress_tracker import TaskProgress
from taskiq_core.message import TaskiqMessage
from taskiq_core.signature import compile_arguments
from taskiq_core.state import TaskiqState


class Memory(AsyncResultBackend[Any]):
    def __init__(self) -> None:
        self.progress: dict[str, TaskProgress[Any]] = {}
        self.history: list[TaskProgress[Any]] = []

    async def set_results(self, results: Sequence[Any]) -> None:
        raise AssertionError

    async def get_results(self, task_ids: Sequence[str]) -> Mapping[str, Any]:
        return {}

    async def set_progress(self, task_id: str, progress: TaskProgress[Any]) -> None:
        self.progress[task_id] = progress
        self.history.append(progress)

    async def get_progress(self, task_id: str) -> TaskProgress[Any] | None:
        return self.progress.get(task_id)


class Broker:
    capabilities = Capability.ACK
    coordinator = admin = records = routes = None

    def __init__(self) -> None:
        self.state = TaskiqState()
        self.result_backend = Memory()

    def id_generator(self) -> str:
        return "id"

    async def send(self, messages: Sequence[TaskiqMessage]) -> None:
        raise AssertionError


async def run(func, *, overrides=None, propagate=True, values=None, broker=None, task_id="id-1", **kwargs):
    """Call a function as a worker does."""
    context = Context(TaskiqMessage(task_id, "task"), broker or Broker())
    resolver = Resolver.of(func)
    assert resolver is not None
    args, named = compile_arguments(func, injected=resolver.names)([], kwargs)
    async with resolver.resolve(context_values(context, values), overrides, propagate=propagate) as injected:
        return await func(*args, **{**injected, **named})


def plain():
    return "plain"


class Plain:
    def __init__(self) -> None:
        self.name = "class"
