"""What kickers and middlewares need of a broker, so that they need not know it."""

from collections.abc import Iterable, Sequence
from typing import Any, Literal, Protocol

from taskiq_core.abc.coordinator import Coordinator
from taskiq_core.abc.queue_admin import QueueAdmin
from taskiq_core.abc.records import RecordStore
from taskiq_core.capability import Capability
from taskiq_core.message import TaskiqMessage
from taskiq_core.routes import Routes

Cancelled = Literal["removed", "requested", "finished"]
"""What became of a cancel. removed: it waited and will never start; requested: it runs, or nobody here knows; finished: it has
a result already, which stays."""


class Canceller(Protocol):
    """`broker.tasks`, as handles use it."""

    async def cancel(
        self, task_ids: str | Iterable[str], *, reason: str = ..., task_name: str | None = None
    ) -> dict[str, Cancelled]:
        """See `Tasks.cancel`."""
        ...


class Sender(Protocol):
    """Something that can send messages and knows where their results go."""

    @property
    def capabilities(self) -> Capability:
        """What the transport can do."""
        ...

    @property
    def result_backend(self) -> Any:
        """An `AsyncResultBackend`."""
        ...

    @property
    def coordinator(self) -> Coordinator | None:
        """The shared state on which uniqueness stands."""
        ...

    @property
    def admin(self) -> QueueAdmin | None:
        """Queues and what waits in them."""
        ...

    @property
    def records(self) -> RecordStore | None:
        """Where status transitions go."""
        ...

    @property
    def routes(self) -> Routes | None:
        """Where tasks go by their names."""
        ...

    @property
    def tasks(self) -> "Canceller":
        """What can be done to tasks that have been sent."""
        ...

    def id_generator(self) -> str:
        """A fresh task id."""
        ...

    async def send(self, messages: Sequence[TaskiqMessage]) -> None:
        """Format and send a batch through the middlewares; all accepted, or `SendTaskError`."""
        ...
