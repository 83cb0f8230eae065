"""Messages that came back although their holder may live: only its connection broke, and it goes on with the work.

The server cannot know that, and gives what a lost connection held to anybody. So who gets a message that somebody may have had
before asks all other workers for it, and waits for their answers: it runs what nobody has, leaves to its holder what is still
in hand, and acknowledges what is done. Who has no connection cannot answer, and is asked until it can; one that stays silent
for long is dead. Messages that come for the first time cost nothing of this.
"""

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass, field

from taskiq_core.delivery import Delivery
from taskiq_core_brokers_rabbitmq.errors import RabbitError
from taskiq_core_brokers_rabbitmq.holdings import Holdings
from taskiq_core_brokers_rabbitmq.peers import PeerMessage, Peers

_SILENCE = 2.0
"""Seconds without an answer after which a worker is dead; its messages start that much later."""
_SILENCE_AFTER_OUTAGE = 10.0
"""The same from when we have our own connection back: then others have lost theirs too, and may need longer than we."""
_ACQUAINTANCE = 1.0
"""Seconds between our hello and the moment when we know who is there."""
_AGAIN = 0.5
"""Seconds after which who has not answered is asked again."""
_GATHER = 0.01
"""Seconds in which messages come that are asked for together."""
_AT_ONCE = 500
"""Messages of one question."""


@dataclass(eq=False, slots=True)
class _Doubt:
    delivery: Delivery
    since: float
    ask_at: dict[str, float] = field(default_factory=dict[str, float])
    """When to ask, for each worker that may have it."""


class InDoubt:
    """Of one subscription, over all its connections.

    :param clear: gets what nobody else has.
    :param finish: gets what is done, and is only to be acknowledged.
    """

    def __init__(
        self,
        peers: Peers,
        holdings: Holdings,
        clear: Callable[[list[Delivery]], None],
        finish: Callable[[list[Delivery]], None],
    ) -> None:
        self._peers = peers
        self._holdings = holdings
        self._clear = clear
        self._finish = finish
        self._doubts: dict[str, _Doubt] = {}
        self._count = 0
        self._joined = False
        self._acquainted_at = self._careful_until = 0.0
        self._changed = asyncio.Event()
        self._asking: asyncio.Task[None] | None = None
        self._answering: set[asyncio.Task[None]] = set()

    async def join(self, address: str, *, again: bool) -> None:
        """We have a connection, and hear news from the queue `address`. `again`: after we had lost one."""
        self._peers.address, self._joined = address, False
        now = asyncio.get_running_loop().time()
        self._acquainted_at = now + _ACQUAINTANCE
        if again:
            self._careful_until = now + _SILENCE_AFTER_OUTAGE
        with contextlib.suppress(RabbitError):
            await self._hello()
        self._go_on()

    async def leave(self) -> None:
        """We hold nothing any more; nobody shall wait for us."""
        self.stop()
        with contextlib.suppress(RabbitError):
            await self._peers.tell_all("bye")

    def stop(self) -> None:
        """Ask no more, for good."""
        self.drop_all()
        self._joined = True
        for task in (self._asking, *self._answering):
            if task is not None:
                task.cancel()

    def keep(self, delivery: Delivery) -> None:
        """A message that somebody may have had before."""
        self._count += 1
        asked = dict.fromkeys(self._peers.names(), 0.0)
        self._doubts[str(self._count)] = _Doubt(delivery, asyncio.get_running_loop().time(), asked)
        self._go_on()

    def drop_all(self) -> None:
        """The connection broke, or is about to: what is kept goes back by itself."""
        self._doubts.clear()

    def hear(self, text: str) -> None:
        """Another worker has something to say."""
        message = self._peers.hear(text)
        if message is None:
            return
        if message.kind == "ask":
            about = {key: self._holdings.state_of(nonce) for key, nonce in message.about.items()}
            self._reply(PeerMessage("answer", message.sender, about))
        elif message.kind == "hello":
            self._reply(PeerMessage("here", message.sender, {}))
        self._note(message)
        self._changed.set()

    def _note(self, message: PeerMessage) -> None:
        """What it says of messages that we keep."""
        if message.kind == "answer":
            done: list[Delivery] = []
            for key, state in message.about.items():
                if (doubt := self._doubts.get(key)) is None:
                    continue
                if state == "done":
                    done.append(self._doubts.pop(key).delivery)
                elif state == "free":
                    doubt.ask_at.pop(message.sender, None)
            if done:
                self._finish(done)
        elif message.kind == "bye":
            for doubt in self._doubts.values():
                doubt.ask_at.pop(message.sender, None)
        elif message.kind in {"hello", "here"}:
            for doubt in self._doubts.values():
                doubt.ask_at[message.sender] = 0.0

    def _reply(self, message: PeerMessage) -> None:
        task = asyncio.get_running_loop().create_task(self._send(message))
        self._answering.add(task)
        task.add_done_callback(self._answering.discard)

    async def _send(self, message: PeerMessage) -> None:
        with contextlib.suppress(RabbitError):  # they ask again
            await self._peers.tell(message.sender, message.kind, message.about)

    # -- asking ---------------------------------------------------------------------------------------------------------------

    def _go_on(self) -> None:
        self._changed.set()
        if (self._doubts or not self._joined) and (self._asking is None or self._asking.done()):
            self._asking = asyncio.get_running_loop().create_task(self._ask_until_clear())

    async def _ask_until_clear(self) -> None:
        loop = asyncio.get_running_loop()
        while self._doubts or not self._joined:
            await asyncio.sleep(_GATHER)
            self._changed.clear()
            try:
                if not self._joined:
                    await self._hello()
                for name in self._peers.names():
                    await self._ask(name, loop.time())
            except RabbitError:  # we are deaf and dumb, and learn nothing from silence
                self._careful_until = max(self._careful_until, loop.time() + _SILENCE)
            self._judge(loop.time())
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_AGAIN / 2):
                    await self._changed.wait()

    async def _hello(self) -> None:
        self._joined = await self._peers.tell_all("hello")

    async def _ask(self, name: str, now: float) -> None:
        """Ask one worker for what it may have, if it is time."""
        due = [(key, doubt) for key, doubt in self._doubts.items() if doubt.ask_at.get(name, now + 1) <= now]
        for start in range(0, len(due), _AT_ONCE):
            some = due[start : start + _AT_ONCE]
            await self._peers.tell(name, "ask", {key: doubt.delivery.receipt.nonce for key, doubt in some})
            for _, doubt in some:
                if name in doubt.ask_at:
                    doubt.ask_at[name] = now + _AGAIN

    def _judge(self, now: float) -> None:
        """See what is clear now."""
        clear: dict[str, Delivery] = {}
        done: list[Delivery] = []
        for key, doubt in list(self._doubts.items()):
            nonce = doubt.delivery.receipt.nonce
            state = self._holdings.state_of(nonce)  # there may be two of a copy, and we have the other
            if state == "done":
                done.append(self._doubts.pop(key).delivery)
            elif state == "free" and nonce not in clear and self._is_clear(doubt, now):
                clear[nonce] = self._doubts.pop(key).delivery
        if done:
            self._finish(done)
        if clear:
            self._clear(list(clear.values()))

    def _is_clear(self, doubt: _Doubt, now: float) -> bool:
        deadline = max(doubt.since + _SILENCE, self._careful_until)
        for name in list(doubt.ask_at):
            if now < max(deadline, self._peers.heard(name) + _SILENCE):
                return False
            del doubt.ask_at[name]
            self._peers.forget(name)
        return now >= min(self._acquainted_at, deadline)
