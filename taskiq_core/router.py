"""Tasks defined before there is a broker."""

from collections.abc import Callable, Sequence
from typing import Any

from taskiq_core.abc.sender import Sender
from taskiq_core.capability import Capability
from taskiq_core.decor import AsyncTaskiqDecoratedTask
from taskiq_core.exceptions import TaskBrokerMismatchError
from taskiq_core.message import TaskiqMessage
from taskiq_core.registrar import TaskRegistrar

AnyTask = AsyncTaskiqDecoratedTask[..., Any]


class _Unbound:
    """Stands in for the broker until the router is included."""

    capabilities = ~Capability.NONE  # the real broker checks when it takes the tasks over

    coordinator = admin = records = routes = None

    @property
    def result_backend(self) -> Any:
        return self._refuse()

    @property
    def tasks(self) -> Any:
        return self._refuse()

    def id_generator(self) -> str:
        return str(self._refuse())

    async def send(self, messages: Sequence[TaskiqMessage]) -> None:
        self._refuse()

    def _refuse(self) -> Any:
        msg = "This task's router has no broker yet: call `broker.include_router(router)` first."
        raise RuntimeError(msg)


class TaskRouter(TaskRegistrar):
    """Collects tasks for one broker that will include it. Routers may include routers."""

    def __init__(self) -> None:
        self._tasks: list[AnyTask] = []
        self._routers: list[TaskRouter] = []
        self._broker: Sender = _Unbound()

    def adopt(self, task: AnyTask) -> None:
        """Remember a task; its name is checked when a broker includes the router."""
        self._tasks.append(task)

    def _new_task(self, func: Callable[..., Any], name: str, **parts: Any) -> AnyTask:
        return AsyncTaskiqDecoratedTask(self._broker, name, func, **parts)

    def include_router(self, router: "TaskRouter") -> None:
        """Pass another router's tasks on to whoever includes this one."""
        self._routers.append(router)

    def bind(self, broker: Sender) -> list[AnyTask]:
        """Give all tasks to `broker` and return them. Tasks defined later must be included again.

        :raises TaskBrokerMismatchError: if another broker has included the router already.
        """
        if not isinstance(self._broker, _Unbound) and self._broker is not broker:
            raise TaskBrokerMismatchError(broker=self._broker)
        self._broker = broker
        for task in self._tasks:
            task.broker = broker
        return [*self._tasks, *(task for router in self._routers for task in router.bind(broker))]
