"""Tasks that take several messages at once."""

from dataclasses import dataclass
from datetime import timedelta

from taskiq_core.retry import seconds


@dataclass(frozen=True, slots=True)
class Batch:
    """The function gets a list of up to `size` arguments, `within` seconds after the first of them at the latest.

    :raises ValueError: for values that make no sense.
    """

    size: int
    within: float | timedelta = 1.0

    def __post_init__(self) -> None:
        if isinstance(self.size, bool) or not isinstance(self.size, int) or self.size < 1:  # pyright: ignore[reportUnnecessaryIsInstance]
            msg = f"Batch({self.size!r}): a batch has a size of 1 or more"
            raise ValueError(msg)
        object.__setattr__(self, "within", seconds(self.within))
