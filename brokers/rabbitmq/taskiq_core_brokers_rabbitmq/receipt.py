"""Where a delivery stands."""

from taskiq_core_brokers_rabbitmq.channel import Channel


class Receipt:
    """Which publication it is, and by which delivery on which channel we hold it."""

    __slots__ = (
        *("attempts", "channel", "consumer", "copied", "forgotten", "generation", "maybe_copied"),
        *("level", "nonce", "settled", "since", "tag", "task_id"),
    )

    def __init__(self, nonce: str, level: int, task_id: str, attempts: int) -> None:
        self.nonce = nonce
        self.level = level
        self.task_id = task_id
        self.attempts = attempts
        """Deliveries before this one."""
        self.channel: Channel | None = None
        """None while nobody holds it, because the connection broke."""
        self.since = 0.0
        """When it came over that channel, by the clock of the event loop."""
        self.tag = 0
        self.consumer = 0
        self.generation = 0
        self.forgotten = False
        self.copied = False
        """Its verdict has sent a message in its place."""
        self.maybe_copied = False
        """The same, if the server has read it: its confirm was lost."""
        self.settled = False
