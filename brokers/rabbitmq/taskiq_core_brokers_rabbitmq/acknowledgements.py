"""What of a channel is not acknowledged, so that many may be in few frames.

A quorum queue takes an acknowledgement as a command of its log. What a channel has of them beyond some thirty waits in the
server's channel, and is lost with it: hence the fewer the better.
"""

from collections.abc import Collection

from taskiq_core.delivery import Delivery
from taskiq_core_brokers_rabbitmq import frames

LINGER = 0.05
"""Seconds before a channel is closed, for the server to hand on its last acknowledgements."""


class Unacknowledged:
    """Deliveries of one channel, in their order."""

    def __init__(self, channel: int) -> None:
        self._channel = channel
        self._tags: dict[int, None] = {}

    def add(self, tag: int) -> None:
        """A delivery has come."""
        self._tags[tag] = None

    def acks(self, deliveries: Collection[Delivery]) -> bytes:
        """The frames that acknowledge these, to be written at once: one for all that came before any other."""
        wanted: set[int] = {delivery.receipt.tag for delivery in deliveries}
        last = 0
        for tag in self._tags:
            if tag not in wanted:
                break
            last = tag
        if last:
            wanted = {tag for tag in wanted if tag > last}
            self._tags = {tag: None for tag in self._tags if tag > last}
        for tag in wanted:
            self._tags.pop(tag, None)
        head = frames.ack(self._channel, last, multiple=True) if last else b""
        return head + b"".join(frames.ack(self._channel, tag) for tag in sorted(wanted))
