"""What was sent with a delay: kept by its own consumer, which delivers it again when it is due; then it becomes ready."""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from functools import partial
from typing import Any

from taskiq_core import clock
from taskiq_core.outage import Outage
from taskiq_core_brokers_nats.connection import Connection, logger
from taskiq_core_brokers_nats.errors import WRONG_SEQUENCE, NatsError
from taskiq_core_brokers_nats.headers import EXPECTED, MESSAGE_ID, headers_of
from taskiq_core_brokers_nats.holdings import wait
from taskiq_core_brokers_nats.link import Link, Msg, pub
from taskiq_core_brokers_nats.names import DELAYED, place_of
from taskiq_core_brokers_nats.pipelining import Item
from taskiq_core_brokers_nats.publishing import publish_all
from taskiq_core_brokers_nats.pulls import STANDING, Pull, Pulls
from taskiq_core_brokers_nats.receipt import Receipt, receipt_of
from taskiq_core_brokers_nats.state import State
from taskiq_core_brokers_nats.topology import Topology

_BATCH = 500
_PAUSE = 0.5
"""Seconds between two tries."""


class Delays:
    """Of some queues; every subscription does it for its own.

    :param start: runs something in the background.
    """

    def __init__(
        self,
        connection: Connection,
        topology: Topology,
        state: State,
        queues: Sequence[str],
        *,
        lease: float,
        start: Callable[[Coroutine[Any, Any, None]], object],
    ) -> None:
        self._connection = connection
        self._topology = topology
        self._state = state
        self._queues = queues
        self._lease = lease
        self._start = start
        self._pulls = Pulls(connection, topology.names.queues, self._came)
        self._asked: dict[str, Pull | None] = {}
        self._due: list[Receipt] = []
        self._news = asyncio.Event()

    def begin(self, link: Link) -> None:
        """Use a new link."""
        self._pulls.begin(link)
        self._asked.clear()
        self._news.set()

    def wake(self) -> None:
        """Something may be different now."""
        self._news.set()

    async def leave(self) -> None:
        """Receive nothing any more."""
        await self._pulls.leave()

    async def run(self) -> None:
        """For ever."""
        outage = Outage(logger, "Delayed messages are looked after again")
        while True:
            try:
                await self._ask()
                outage.over()
            except NatsError as error:
                outage.say("Delayed messages are not looked after", error)
                await asyncio.sleep(_PAUSE)
                continue
            try:
                async with asyncio.timeout(STANDING + self._connection.patience):
                    await self._news.wait()
            except TimeoutError:
                self._asked.clear()

    async def _ask(self) -> None:
        self._news.clear()
        await self._connection.usable()
        await self._state.refresh()
        for queue in self._queues:
            # In a paused queue it stays where it is, whether due or not: for the resume, or for whoever evacuates the queue.
            if DELAYED not in self._state.levels.get(queue, ()) or queue in self._state.paused:
                continue
            name = self._topology.names.consumer(queue, DELAYED)
            if name not in self._asked:
                await self._topology.consumer(queue, DELAYED, self._lease)
            if self._asked.get(name) is None:
                pull = self._asked[name] = self._pulls.ask(name, _BATCH, standing=True)
                pull.ended.add_done_callback(partial(self._ended, name, pull))

    def _ended(self, name: str, pull: Pull, ended: asyncio.Future[None]) -> None:
        ended.exception()  # a link that has ended is seen by who uses it next
        if self._asked.get(name) is pull:
            if pull.doubtful:
                del self._asked[name]  # so that the consumer is made anew, if need be
            else:
                self._asked[name] = None
        self._news.set()

    def _came(self, _: Pull, msg: Msg) -> None:
        receipt = receipt_of(msg, "")
        left = 0.0 if receipt.due is None else receipt.due - clock.time()
        if place_of(receipt.subject)[0] in self._state.paused:  # since it was asked for
            left = max(left, _PAUSE)
        if left > 0:
            if self._connection.link is not None:
                self._connection.link.write(wait(receipt.ack, left))
            return
        self._due.append(receipt)
        if len(self._due) == 1:
            asyncio.get_running_loop().call_soon(self._promote_all)

    def _promote_all(self) -> None:
        due, self._due = self._due, []
        self._start(self._promote(due))

    async def _promote(self, due: Sequence[Receipt]) -> None:
        """Make them ready. Should we die half-way, the next one does it again, and the stream knows what it has already had."""
        names, places = self._topology.names, [place_of(item.subject) for item in due]
        await self._state.tell_levels({(queue, str(priority)) for queue, priority, _ in places})
        items = [
            Item(names.ready(*place), headers_of({EXPECTED: 0, MESSAGE_ID: f"due-{item.key}"}), item.body)
            for place, item in zip(places, due, strict=True)
        ]
        results = await publish_all(self._connection, items, self._connection.patience)
        answers = [
            wait(item.ack, _PAUSE)
            if isinstance(result, NatsError) and result.code != WRONG_SEQUENCE
            else pub(item.ack, b"+ACK")
            for item, result in zip(due, results, strict=True)
        ]
        link = await self._connection.usable()
        link.write(b"".join(answers))
