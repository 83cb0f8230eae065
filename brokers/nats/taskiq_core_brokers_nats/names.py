"""What streams, subjects and consumers are called."""

import base64
import re
from dataclasses import dataclass

from taskiq_core.defaults import DEFAULT_PRIORITY
from taskiq_core.exceptions import MessageRefusedError

_PLAIN = re.compile(r"[A-Za-z0-9_-]+")
_LONGEST_QUEUE = 200
"""Bytes of a queue's name as it stands in the name of a consumer."""
LONGEST_ID = 1400
"""Bytes of a task id as it stands in a subject: 255 characters of any kind need fewer."""

DELAYED = "delayed"
"""In place of a priority: the consumer of all that is delayed in a queue."""
LEVELS = frozenset({*map(str, range(10)), DELAYED})


def token(text: str) -> str:
    """One token of a subject that stands for `text`; texts of letters, digits, - and _ stay readable."""
    if (text.isalnum() and text.isascii()) or _PLAIN.fullmatch(text):
        return text
    return "=" + base64.urlsafe_b64encode(text.encode()).rstrip(b"=").decode()


def text_of(found: str) -> str:
    """What a token stands for; one that somebody else has written, and that stands for nothing, for itself."""
    if found.startswith("="):
        try:
            return base64.urlsafe_b64decode(found[1:] + "=" * (-len(found[1:]) % 4)).decode()
        except ValueError:
            pass
    return found.encode(errors="surrogateescape").decode(errors="replace")


def queue_token(queue: str) -> str:
    """`token` of a queue's name.

    :raises MessageRefusedError: if it is too long.
    """
    found = token(queue)
    if len(found) > _LONGEST_QUEUE:
        raise MessageRefusedError(reason=f"the name of its queue is too long for NATS, which can take {_LONGEST_QUEUE} bytes")
    return found


@dataclass(frozen=True, slots=True)
class Names:
    """All names with one prefix."""

    prefix: str

    @property
    def queues(self) -> str:
        """The stream of all that waits or is worked on."""
        return f"{self.prefix}-queues"

    @property
    def dead(self) -> str:
        """The stream of dead letters."""
        return f"{self.prefix}-dead"

    @property
    def state(self) -> str:
        """The stream of facts about queues: which are paused, which priorities they have."""
        return f"{self.prefix}-state"

    def part(self, queue: str, priority: int) -> str:
        """What the subjects of all messages of this priority begin with."""
        return f"{self.prefix}.q.{queue_token(queue)}.{priority}."

    def ready(self, queue: str, priority: int, task_id: str) -> str:
        """Where a message is: one subject for each task id, so that the server sees to it that there is one message."""
        return self.part(queue, priority) + token(task_id)

    def delayed(self, queue: str, priority: int, task_id: str) -> str:
        """Where a message is that was sent with a delay, until it is due."""
        return f"{self.prefix}.d.{queue_token(queue)}.{priority}.{token(task_id)}"

    def dead_letter(self, queue: str, task_id: str) -> str:
        """Where a dead letter is."""
        return f"{self.prefix}.x.{queue_token(queue)}.{token(task_id)[:LONGEST_ID]}"

    def paused(self, queue: str) -> str:
        """There is a message here while the queue is paused."""
        return f"{self.prefix}.s.paused.{queue_token(queue)}"

    def level(self, queue: str, level: str) -> str:
        """There is a message here if the queue has had messages of that priority, or delayed ones."""
        return f"{self.prefix}.s.level.{queue_token(queue)}.{level}"

    def resumed(self, queue: str) -> str:
        """Told to whoever listens when a pause ends; not kept."""
        return f"{self.prefix}.bell.resumed.{queue_token(queue)}"

    @property
    def claims(self) -> str:
        """Where workers say what they hold, after a server was started anew; not kept."""
        return f"{self.prefix}.bell.claims"

    def consumer(self, queue: str, level: str) -> str:
        """The consumer of one priority of a queue, or of what is delayed in it."""
        return f"{queue_token(queue)}-{level}"

    def filter(self, queue: str, level: str) -> str:
        """The subjects that this consumer has."""
        part = "d" if level == DELAYED else "q"
        return f"{self.prefix}.{part}.{queue_token(queue)}.{'*.*' if level == DELAYED else level + '.*'}"


def place_of(subject: str) -> tuple[str, int, str]:
    """Queue, priority and task id of a subject of a message."""
    queue, priority, task_id = subject.rsplit(".", 3)[1:]
    return text_of(queue), priority_of(priority), text_of(task_id)


def queue_of(subject: str) -> str:
    """The queue alone: that is asked of every delivery."""
    return text_of(subject.rsplit(".", 3)[1])


def priority_of(text: str) -> int:
    """The priority that a text is; the usual one for what somebody else has written."""
    return int(text) if text in LEVELS and text != DELAYED else DEFAULT_PRIORITY
