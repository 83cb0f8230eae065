"""Pull requests, and what comes for them.

There are two kinds. One asks for what is there now: it ends with that, or by a status message. The other is of one message and
stands until there is one: it says that there is something again where there was nothing.
"""

import asyncio
import itertools
import json
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field

from taskiq_core_brokers_nats.connection import Connection
from taskiq_core_brokers_nats.errors import lost, nobody_answers
from taskiq_core_brokers_nats.link import Link, Msg, pub

STANDING = 5.0
"""Seconds after which a standing request ends; it is made anew, should a server have lost it."""


@dataclass(slots=True, eq=False)
class Pull:
    """One request."""

    subject: str
    count: int
    standing: bool
    ended: asyncio.Future[None]
    taken: list[Msg] = field(default_factory=list[Msg])


class Pulls:
    """All requests of one subscription; they end with their link.

    :param on_message: takes what comes for requests that stand.
    """

    def __init__(self, connection: Connection, stream: str, on_message: Callable[[Pull, Msg], None]) -> None:
        self._connection = connection
        self._stream = stream
        self._on_message = on_message
        self._inbox = f"_INBOX.{secrets.token_hex(11)}"
        self._numbers = itertools.count()
        self._open: dict[str, Pull] = {}
        self._link: Link | None = None
        self._sid = b""

    def begin(self, link: Link) -> None:
        """Use a new link. What was asked for on another one is over."""
        self.end()
        self._link, self._sid = link, link.subscribe(f"{self._inbox}.*", self._received)

    def end(self) -> None:
        """Nothing comes any more."""
        pulls, self._open = self._open, {}
        for pull in pulls.values():
            if not pull.ended.done():
                pull.ended.set_exception(lost(self._connection.location.server, "the connection was closed", certain=False))
                pull.ended.exception()

    async def leave(self) -> None:
        """Ask for nothing any more; what is on its way still comes."""
        if self._link is not None:
            await self._link.unsubscribe(self._sid)

    def ask(self, consumer: str, count: int, *, standing: bool = False) -> Pull:
        """Make a request.

        :raises NatsError: if there is no link.
        """
        if self._link is None:
            raise lost(self._connection.location.server, "the connection is closed", certain=True)
        number = str(next(self._numbers))
        subject = f"$JS.API.CONSUMER.MSG.NEXT.{self._stream}.{consumer}"
        pull = Pull(consumer, count, standing, asyncio.get_running_loop().create_future())
        terms = {"batch": count, "expires": round(STANDING * 1e9)} if standing else {"batch": count, "no_wait": True}
        self._link.write(pub(subject, json.dumps(terms).encode(), f"{self._inbox}.{number}"))
        self._open[number] = pull
        return pull

    def _received(self, msg: Msg) -> None:
        number = msg.subject.rpartition(".")[2]
        pull = self._open.get(number)
        if msg.status:
            if pull is not None and not msg.status.startswith("1"):
                del self._open[number]
                self._over(pull, msg)
            return
        if pull is None:  # of a request that ended in the meantime
            self._on_message(Pull("", 0, standing=True, ended=asyncio.get_running_loop().create_future()), msg)
            return
        pull.count -= 1
        if pull.count == 0:
            del self._open[number]
        if pull.standing:
            self._on_message(pull, msg)
        else:
            pull.taken.append(msg)
        if pull.count == 0:
            self._over(pull, msg)

    def _over(self, pull: Pull, msg: Msg) -> None:
        if pull.ended.done():
            return
        if msg.status == "503":
            pull.ended.set_exception(nobody_answers(self._connection.location.server, "a request for messages"))
            pull.ended.exception()
        else:
            pull.ended.set_result(None)
