"""What kickers and middlewares need of a broker, so that they need not know it."""

from collections.abc import Sequence
from typing import Any, Protocol

from taskiq_core.capability import Capability
from taskiq_core.message import TaskiqMessage


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

    def id_generator(self) -> str:
        """A fresh task id."""
        ...

    async def send(self, messages: Sequence[TaskiqMessage]) -> None:
        """Format and send a batch through the middlewares; all accepted, or `SendTaskError`."""
        ...
