"""What queues, exchanges and routing keys are called."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from urllib.parse import quote, unquote

from taskiq_core.exceptions import ConfigurationError

LEVELS = range(10)
"""Priorities; each has a queue of its own, if it was ever used."""
DELAYS = tuple(1 << exponent for exponent in range(5, 32))
"""Milliseconds that a message waits in each of the queues for delays; see ADR 0044."""
LONGEST = sum(DELAYS)
"""Milliseconds that one passage through them can take; a longer delay takes several."""
_LONGEST_NAME = 190
"""Bytes of a queue's name, as we write it: with what comes around it AMQP allows 255."""
_SAFE = " ,@"
"""Characters of queue names that need no escape, besides letters, digits, `_` and `-`."""


@dataclass(frozen=True)
class Names:
    """The same for every process that shares the queues: all begin with the prefix."""

    prefix: str

    def ready(self, queue: str, level: int) -> str:
        """The queue of AMQP that holds what is ready, of one priority."""
        return f"{self.prefix}:{word_of(queue)}:{level}"

    def delayed(self, queue: str, delay: int) -> str:
        """The queue of AMQP in which messages wait so many milliseconds, one of `DELAYS`."""
        return f"{self.prefix}:{word_of(queue)}:delay:{delay}"

    @cached_property
    def dead(self) -> str:
        """The queue of AMQP that holds dead letters."""
        return f"{self.prefix}:dead"

    @cached_property
    def news(self) -> str:
        """The exchange that tells every worker what has changed."""
        return f"{self.prefix}:news"

    @cached_property
    def pauses(self) -> str:
        """The queue of AMQP that holds the names of queues that may be paused."""
        return f"{self.prefix}:pauses"

    @cached_property
    def marks(self) -> str:
        """The exchange whose bindings are marks."""
        return f"{self.prefix}:marks"

    @cached_property
    def sink(self) -> str:
        """The queue of AMQP that keeps nothing."""
        return f"{self.prefix}:sink"

    def step(self, index: int) -> str:
        """The exchange before the queues of a delay; -1 is that of what is due."""
        return f"{self.prefix}:delay:{DELAYS[index]}" if index >= 0 else f"{self.prefix}:due"

    def pause_mark(self, queue: str) -> str:
        """The mark of a queue that is paused, and the exchange that is there as long as it is."""
        return f"{self.prefix}:pause:{word_of(queue)}"


def word_of(queue: str) -> str:
    """A queue's name as one word of a topic, and without the colons that are ours.

    :raises ConfigurationError: if it is too long for AMQP.
    """
    # pamqp takes neither % nor letters beyond ASCII in names of queues; . # * mean something in topics.
    word = quote(queue, safe=_SAFE).replace(".", "%2E").replace("~", "%7E").replace("%", "+")
    if len(word) > _LONGEST_NAME:
        raise ConfigurationError(reason=f"The name of the queue {queue[:40]!r}... is too long for RabbitMQ: use a shorter one.")
    return word


def queue_of(word: str) -> str:
    """The queue that `word_of` made this of."""
    return unquote(word.replace("+", "%"))


def path(milliseconds: int) -> list[int]:
    """Which of `DELAYS` make up a delay, by index, the longest first; no less than asked for, up to `LONGEST`."""
    units = min(-(-milliseconds // DELAYS[0]), LONGEST // DELAYS[0])
    return [index for index in reversed(range(len(DELAYS))) if units >> index & 1]


def delay_key(steps: Sequence[int], queue: str, level: int) -> str:
    """The routing key of a message that takes these steps: one word for each of `DELAYS`, the longest first."""
    bits = ("1" if index in steps else "0" for index in reversed(range(len(DELAYS))))
    return ".".join((*bits, word_of(queue), str(level)))


def delay_pattern(index: int, bit: str, *rest: str) -> str:
    """What binds the queue of a delay, or the way past it, to its exchange: the bit of that delay, and what follows it."""
    return ".".join((*["*"] * (len(DELAYS) - 1 - index), bit, *rest))
