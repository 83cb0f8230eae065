"""A message in the store of the in-memory broker."""

from dataclasses import dataclass


@dataclass(slots=True, eq=False)
class Entry:
    """Where it stands: ready unless it has a holder, or is `delayed` (until a time), or `parked` (for a text)."""

    task_id: str
    body: bytes
    queue: str
    priority: int
    attempt: int = 0
    deaths: int = 0
    accused: bool = False
    delayed: bool = False
    parked: str | None = None
    park_delay: float = 0.0
    holder: str | None = None
    lease_until: float = 0.0
    forgotten: bool = False

    @property
    def waits(self) -> bool:
        """Neither ready nor held."""
        return self.delayed or self.parked is not None
