"""A queue as a stranger's classic broker has it, for tests of what is built on `listen()`."""

from collections import deque
from collections.abc import AsyncGenerator
from typing import Any

import anyio

from taskiq_core.acks import AckableMessage
from taskiq_core.listening import ListeningSubscription


class Queue:
    """What a stranger's broker has: a queue that can be listened to, acknowledged to, and sent to."""

    def __init__(self, *bodies: bytes, ackable: bool = True, nack: bool = False) -> None:
        self.bodies = deque(bodies)
        self.ackable, self.nack = ackable, nack
        self.changed = anyio.Event()
        self.taken: list[bytes] = []
        self.acked: list[bytes] = []
        self.nacked: list[tuple[bytes, bool]] = []
        self.sent: list[tuple[bytes, float | None]] = []
        self.opened = self.closed = 0
        self.trouble: Exception | None = None
        self.send_trouble: Exception | None = None
        self.ack_trouble: Exception | None = None

    async def listen(self) -> AsyncGenerator[bytes | AckableMessage, None]:
        self.opened += 1
        try:
            while True:
                if self.trouble is not None:
                    raise self.trouble
                while self.bodies:
                    body = self.bodies.popleft()
                    self.taken.append(body)
                    yield self.wrap(body) if self.ackable else body
                self.note()
                await self.changed.wait()
        finally:
            with anyio.CancelScope(shield=True):
                await anyio.lowlevel.checkpoint()
            self.closed += 1

    def note(self) -> None:
        self.changed.set()
        self.changed = anyio.Event()

    def wrap(self, body: bytes) -> AckableMessage:
        async def ack() -> None:
            if self.ack_trouble is not None:
                raise self.ack_trouble
            self.acked.append(body)
            self.note()

        def nack(requeue: bool) -> None:
            self.nacked.append((body, requeue))
            self.note()

        return AckableMessage(body, ack, nack if self.nack else None)

    async def resend(self, body: bytes, delay: float | None) -> None:
        if self.send_trouble is not None:
            raise self.send_trouble
        self.sent.append((body, delay))
        self.put(body)

    def put(self, *bodies: bytes) -> None:
        self.bodies.extend(bodies)
        self.note()

    def subscription(self, **options: Any) -> ListeningSubscription:
        return ListeningSubscription(self.listen, self.resend, **options)
