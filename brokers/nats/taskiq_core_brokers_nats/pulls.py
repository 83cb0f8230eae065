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
from functools import partial

from taskiq_core_brokers_nats.connection import Connection
from taskiq_core_brokers_nats.errors import NatsError, lost, nobody_answers
from taskiq_core_brokers_nats.link import Link, Msg, pub

STANDING = 0.5
"""Seconds after which a standing request ends. Those of a process that was killed stay so long."""

_ANEW = 0.25
"""Seconds after which one is to be made anew, while it still stands: should a message be due to be delivered again when there
is none but requests that have just ended, servers (2.9.10) drop it until its lease ends once more, and deliver the last message
that they delivered a second time, as if for the first time.
"""
_OVERDUE = 0.25
_NO_CONSUMER = {"409", "503"}
"""Statuses that say, among other things, that there is no such consumer, or none any more."""


@dataclass(slots=True, eq=False)
class Pull:
    """One request."""

    consumer: str
    left: int
    standing: bool
    ended: asyncio.Future[None]
    """Nothing more is to be expected of it; of one that stands, that it is time for the next."""
    gone: asyncio.Future[None]
    """The server does not have it any more."""
    taken: list[Msg] = field(default_factory=list[Msg])
    doubtful: bool = False
    """Ended otherwise than such requests do: the server may have lost the consumer."""


@dataclass(slots=True, eq=False)
class _Slot:
    """An inbox that one request after the other has for itself, as messages do not say which request they are for."""

    inbox: str
    sid: bytes = b""
    pull: Pull | None = None


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
        self._slots: list[_Slot] = []
        self._free: list[_Slot] = []
        self._link: Link | None = None

    def begin(self, link: Link) -> None:
        """Use a new link. What was asked for on another one is over."""
        slots, self._slots, self._free = self._slots, [], []
        self._link = link
        for slot in slots:
            if slot.pull is not None:
                _end(slot.pull, self._lost(certain=False))

    async def leave(self) -> None:
        """Ask for nothing any more; returns when nothing is on its way.

        Requests end by themselves, soon. Not by a loss of interest: should something be due to be delivered again just then,
        servers (2.9.10) deliver one message twice and forget another for the time of a lease.
        """
        pulls = [slot.pull.gone for slot in self._slots if slot.pull is not None]
        if pulls:
            await asyncio.wait(pulls, timeout=STANDING + 0.2)
        if self._link is not None:
            await self._link.unsubscribe(*(slot.sid for slot in self._slots))

    def ask(self, consumer: str, count: int, *, standing: bool = False) -> Pull:
        """Make a request.

        :raises NatsError: if there is no link.
        """
        if self._link is None:
            raise self._lost(certain=True)
        slot = self._free.pop() if self._free else self._new_slot(self._link)
        subject = f"$JS.API.CONSUMER.MSG.NEXT.{self._stream}.{consumer}"
        loop = asyncio.get_running_loop()
        slot.pull = pull = Pull(consumer, count, standing, loop.create_future(), loop.create_future())
        terms = {"batch": count, "expires": round(STANDING * 1e9)} if standing else {"batch": count, "no_wait": True}
        self._link.write(pub(subject, json.dumps(terms).encode(), slot.inbox))
        if standing:
            loop.call_later(_ANEW, _set, pull.ended)
            loop.call_later(STANDING + _OVERDUE, self._give_up, slot, pull)
        return pull

    def _give_up(self, slot: _Slot, pull: Pull) -> None:
        """A busy server (2.9.10) does not always say that a request has ended."""
        if slot.pull is pull and slot in self._slots:
            pull.doubtful = True
            self._slots.remove(slot)
            if self._link is not None and self._link.usable:
                self._link.unsubscribe_soon(slot.sid)
            _end(pull)

    def _new_slot(self, link: Link) -> _Slot:
        slot = _Slot(f"{self._inbox}.{next(self._numbers)}")
        self._slots.append(slot)
        slot.sid = link.subscribe(slot.inbox, partial(self._received, slot))
        return slot

    def _received(self, slot: _Slot, msg: Msg) -> None:
        pull = slot.pull
        if pull is None or msg.status.startswith("1"):
            return
        if not msg.status:
            pull.left -= 1
            if pull.standing:
                self._on_message(pull, msg)
            else:
                pull.taken.append(msg)
            if pull.left > 0:
                return
        slot.pull = None
        pull.doubtful = msg.status in _NO_CONSUMER
        self._free.append(slot)
        nobody = msg.status == "503"
        _end(pull, nobody_answers(self._connection.location.server, "a request for messages") if nobody else None)

    def _lost(self, *, certain: bool) -> NatsError:
        return lost(self._connection.location.server, "the connection is closed", certain=certain)


def _end(pull: Pull, error: NatsError | None = None) -> None:
    _set(pull.gone)
    if error is None or pull.ended.done():
        _set(pull.ended)
    else:
        pull.ended.set_exception(error)
        pull.ended.exception()  # which is raised where somebody waits for it


def _set(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
