"""What of a channel is not acknowledged, so that many may be in few frames.

A quorum queue takes an acknowledgement as a command of its log. What a channel has of them beyond some thirty waits in the
server's channel, and is lost with it: hence the fewer the better.
"""

from collections.abc import Collection

from taskiq_core_brokers_rabbitmq import frames

LINGER = 0.05
"""Seconds before a channel is closed, for the server to hand on its last acknowledgements."""


class Tags:
    """Delivery tags, in their order."""

    def __init__(self) -> None:
        self._open: dict[int, None] = {}

    def add(self, tag: int) -> None:
        """A delivery has come."""
        self._open[tag] = None

    def acks(self, channel: int, tags: Collection[int]) -> bytes:
        """The frames that acknowledge these: one for all that were delivered before any other."""
        wanted = set(tags)
        last = 0
        for tag in self._open:
            if tag not in wanted:
                break
            last = tag
        if last:
            wanted = {tag for tag in wanted if tag > last}
            self._open = {tag: None for tag in self._open if tag > last}
        for tag in wanted:
            self._open.pop(tag, None)
        head = frames.ack(channel, last, multiple=True) if last else b""
        return head + b"".join(frames.ack(channel, tag) for tag in sorted(wanted))
