"""Facts about queues that all processes share: which are paused, and which priorities they have had."""

import asyncio
import json
from collections.abc import Callable, Iterable

from taskiq_core_brokers_nats.connection import Connection
from taskiq_core_brokers_nats.link import Msg
from taskiq_core_brokers_nats.names import LEVELS, Names, text_of


class State:
    """As it is in the stream; who listens is told of each change as it is made."""

    def __init__(self, connection: Connection, names: Names) -> None:
        self._connection = connection
        self._names = names
        self.paused: set[str] = set()
        self.levels: dict[str, set[str]] = {}
        """Priorities of a queue as texts, and `DELAYED`."""
        self._told: set[tuple[str, str]] = set()
        self._seen_on = 0
        self._news = 0
        self._listening = False
        self._listeners: set[Callable[[], None]] = set()
        self.on_claims: set[Callable[[Msg], None]] = set()
        """Called with what workers say about messages that they hold, see `Holdings.claim`."""

    async def listen(self, listener: Callable[[], None]) -> None:
        """Keep `paused` and `levels` up to date, and call `listener` when they change."""
        self._listeners.add(listener)
        if not self._listening:
            self._listening = True
            prefix = self._names.prefix
            for subject in (f"{prefix}.s.paused.*", f"{prefix}.s.level.*.*", f"{prefix}.bell.resumed.*", self._names.claims):
                self._connection.listen(subject, self._heard)
        await self.refresh()

    def leave(self, listener: Callable[[], None]) -> None:
        """Call it no more."""
        self._listeners.discard(listener)

    async def refresh(self) -> None:
        """Read everything, if the connection was made anew since that was done."""
        while self._seen_on != self._connection.made or not self._listening:
            made, news = self._connection.made, self._news
            paused, levels = await self.read()
            if news == self._news:
                self.paused, self.levels, self._seen_on = paused, levels, made
                if not self._listening:
                    return

    async def read(self) -> tuple[set[str], dict[str, set[str]]]:
        """What the stream says now: the queues that are paused, and the levels of all."""
        paused: set[str] = set()
        levels: dict[str, set[str]] = {}
        offset = 0
        while True:
            found = await self._connection.api(f"STREAM.INFO.{self._names.state}", {"subjects_filter": ">", "offset": offset})
            subjects: dict[str, int] = found["state"].get("subjects") or {}
            for subject in subjects:
                _note(subject.split("."), paused, levels)
            offset += len(subjects)
            if not subjects or offset >= found.get("total", 0):
                return paused, levels

    async def tell_levels(self, used: Iterable[tuple[str, str]]) -> None:
        """See to it that everybody knows of these parts of queues.

        :raises NatsError: if it cannot be told.
        """
        for queue, level in set(used) - self._told:
            answer = await self._connection.request(self._names.level(queue, level))
            self._check(answer)
            self._told.add((queue, level))

    async def pause(self, queue: str) -> None:
        """Tell everybody, for good."""
        self._check(await self._connection.request(self._names.paused(queue)))

    async def resume(self, queue: str) -> None:
        """Undo `pause`."""
        await self._connection.api(f"STREAM.PURGE.{self._names.state}", {"filter": self._names.paused(queue)})
        link = await self._connection.usable()
        link.write(b"PUB %b 0\r\n\r\n" % self._names.resumed(queue).encode())
        async with asyncio.timeout(self._connection.patience):  # which, unlike wait_for, never swallows a cancellation
            await link.flush()

    def forget(self) -> None:
        """Tell everything once more, and read it: the stream may have been lost."""
        self._told.clear()
        self._seen_on = 0

    async def restore(self) -> None:
        """Tell what is known to a stream that was made anew."""
        await self.tell_levels([(queue, level) for queue, levels in self.levels.items() for level in levels])

    def _check(self, answer: Msg) -> None:
        self._connection.check(json.loads(answer.data))

    def _heard(self, msg: Msg) -> None:
        parts = msg.subject.split(".")
        if parts[2] == "claims":
            for hear in list(self.on_claims):
                hear(msg)
            return
        self._news += 1
        if parts[2] == "resumed":
            self.paused.discard(text_of(parts[3]))
        else:
            _note(parts, self.paused, self.levels)
        for listener in list(self._listeners):
            listener()


def _note(parts: list[str], paused: set[str], levels: dict[str, set[str]]) -> None:
    """What is not ours is passed over."""
    match parts[2:]:
        case ["paused", queue]:
            paused.add(text_of(queue))
        case ["level", queue, level] if level in LEVELS:
            levels.setdefault(text_of(queue), set()).add(level)
        case _:
            pass
