"""What is held: which message of the stream a delivery is, and how to put something in its place."""

import time
from collections.abc import Mapping
from dataclasses import dataclass

from taskiq_core.delivery import Delivery
from taskiq_core_brokers_nats.headers import ATTEMPTS, DEATHS, DELAY, EXPECTED, REASON, fields_of, headers_of, number_in
from taskiq_core_brokers_nats.link import Msg
from taskiq_core_brokers_nats.names import queue_of
from taskiq_core_brokers_nats.pipelining import Item


@dataclass(slots=True, eq=False)
class Receipt:
    """A message as the server delivered it.

    Its number in the stream is the proof of who holds it. Whoever takes a message over, or gives it back, puts a new one in
    its place, which the server does in one step if the old one is still there; what the last holder says about the old number
    after that has no effect.
    """

    subject: str
    ack: str
    """Where verdicts go."""
    stream: str
    consumer: str
    sequence: int
    key: str
    """Tells it from all others, also should the stream be lost and begin to count anew."""
    delivered: int
    """How often the server has delivered it under this number; more than once: its holder is gone, or it was not due."""
    stored_at: float
    """Seconds since the epoch."""
    attempts: int
    """Deliveries before this number."""
    deaths: int
    due: float | None
    """Seconds since the epoch; None: at once."""
    rejected: bool
    fields: Mapping[str, str]
    body: bytes
    held_until: float = 0.0
    """When the lease ends, by our clock, of `time.monotonic`."""
    server: str = ""
    """Which process of the server delivered it; another one may not know of that."""

    def item(
        self,
        *,
        attempts: int,
        deaths: int,
        delay: float | None = None,
        body: bytes | None = None,
        more: Mapping[str, object] = {},
    ) -> Item:
        """What takes its place."""
        fields: dict[str, object] = {EXPECTED: self.sequence, ATTEMPTS: attempts, DEATHS: deaths}
        if delay:
            fields[DELAY] = max(1, round(delay * 1000))
        return Item(self.subject, headers_of({**fields, **more}), self.body if body is None else body)

    def delivery(self, lease: float) -> Delivery:
        """For the worker."""
        self.held_until = time.monotonic() + lease
        return Delivery(self.body, self, self.attempts + 1, queue_of(self.subject), self.deaths)


def receipt_of(msg: Msg, server: str) -> Receipt:
    """Read what came from a consumer. Its reply is `$JS.ACK.<stream>.<consumer>.<delivered>.<sequence>.<n>.<time>.<pending>`,
    on newer servers with a domain and a hash of the account before the stream.
    """
    parts = msg.reply.split(".")
    begin = 2 if len(parts) == 9 else 4
    fields = fields_of(msg.headers) if b"Taskiq-" in msg.headers else {}
    stored_at = int(parts[begin + 5]) / 1e9
    delay = number_in(fields, DELAY)
    return Receipt(
        msg.subject,
        msg.reply,
        parts[begin],
        parts[begin + 1],
        int(parts[begin + 3]),
        f"{parts[begin + 3]}.{parts[begin + 5]}",
        int(parts[begin + 2]),
        stored_at,
        number_in(fields, ATTEMPTS),
        number_in(fields, DEATHS),
        stored_at + delay / 1000 if delay else None,
        REASON in fields,
        fields,
        msg.data,
        server=server,
    )
