"""The other workers on the same queues: who is there, and what they write to each other.

Who connects says hello to all, who is there answers, and who leaves says goodbye. A message goes to the queue that a worker
hears news from, and may be lost with either's connection: so whatever needs an answer is asked again.
"""

import asyncio
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, cast

from taskiq_core_brokers_rabbitmq.news import of_peer
from taskiq_core_brokers_rabbitmq.publisher import Publisher

Kind = Literal["hello", "here", "ask", "answer", "bye"]
About = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class PeerMessage:
    """What a worker says to others."""

    kind: Kind
    sender: str
    about: About


class Peers:
    """Of one worker, which is `name` to the others over all its connections."""

    def __init__(self, name: str, publisher: Publisher) -> None:
        self.name = name
        self.address = ""
        """The queue of AMQP that we hear news from at the moment."""
        self._publisher = publisher
        self._addresses: dict[str, str] = {}
        self._heard: dict[str, float] = {}

    def names(self) -> Iterable[str]:
        """All that we know to be there, or to have been until they fell silent."""
        return tuple(self._addresses)

    def heard(self, name: str) -> float:
        """When we last heard of one, by the clock of the event loop."""
        return self._heard.get(name, 0.0)

    def forget(self, name: str) -> None:
        """It is gone, unless it says hello again."""
        self._addresses.pop(name, None)
        self._heard.pop(name, None)

    def hear(self, text: str) -> PeerMessage | None:
        """Read what came with the news, and note who is there; None if it is our own, or nobody's."""
        try:
            found = cast("dict[str, Any]", json.loads(text))
            about = {str(key): str(text) for key, text in dict(found["about"]).items()}
            message = PeerMessage(found["kind"], str(found["from"]), about)
            address = str(found["at"])
        except (ValueError, KeyError, TypeError):
            return None
        if message.sender == self.name:
            return None
        if message.kind == "bye":
            self.forget(message.sender)
        else:
            self._addresses[message.sender] = address
            self._heard[message.sender] = asyncio.get_running_loop().time()
        return message

    async def tell_all(self, kind: Kind) -> bool:
        """To everybody; raises and returns as `tell`."""
        return await self._publisher.tell(self._text(kind, {}))

    async def tell(self, name: str, kind: Kind, about: About | None = None) -> bool:
        """To one of them; it may be lost. False if the server takes nothing now.

        :raises RabbitError: if there is no connection.
        """
        address = self._addresses.get(name)
        return address is not None and await self._publisher.tell(self._text(kind, about or {}), address)

    def _text(self, kind: Kind, about: About) -> str:
        return of_peer(json.dumps({"kind": kind, "from": self.name, "at": self.address, "about": about}))
