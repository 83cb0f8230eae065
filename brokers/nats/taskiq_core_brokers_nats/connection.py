"""Being connected: a link that is made anew whenever it breaks, for ever, and requests to JetStream on it."""

import asyncio
import contextlib
import json
import logging
import os
import random
from collections.abc import Callable, Coroutine, Mapping
from typing import Any
from weakref import WeakValueDictionary

from taskiq_core.outage import Outage
from taskiq_core.server_retries import given_up
from taskiq_core_brokers_nats.errors import NatsError, explain, lost, nobody_answers
from taskiq_core_brokers_nats.link import Handler, Link, Msg
from taskiq_core_brokers_nats.location import Location
from taskiq_core_brokers_nats.opening import open_link

logger = logging.getLogger("taskiq.nats")

_PAUSES = (0.05, 1.0)
"""Seconds between two attempts to connect, growing."""
_outages: WeakValueDictionary[str, Outage] = WeakValueDictionary()


class Connection:
    """What the NATS plugins of one broker, result backend or schedule source connect by. Belongs to one event loop.

    :param patience: seconds without a sign of life after which a link is given up, and which one attempt to connect has.
    """

    def __init__(self, location: Location, patience: float) -> None:
        self.location = location
        self.patience = patience
        self.link: Link | None = None
        """The link in use, None while there is none."""
        self.made = 0
        """How many links there have been."""
        self._subjects: dict[str, Handler] = {}
        self._greeters: list[Callable[[Link], None]] = []
        self._servers = list(location.servers)
        self._failure: NatsError | None = None
        self._ready, self._failed = asyncio.Event(), asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._process = os.getpid()
        self._opening = False
        self._outage = _outage(location.server)

    async def open(self, timeout: float) -> None:
        """Connect, trying for up to `timeout` seconds: a program may start a moment before its server. Then stay connected.

        :raises NatsError: if it is not connected then; at once, if trying again would not help.
        """
        failed = self.begin()
        self._opening = True
        try:
            async with asyncio.timeout(timeout):
                await _first(self._ready.wait(), failed.wait())
        except TimeoutError:
            pass
        finally:
            self._opening = False
        if self.link is None:
            failure = self._failure or self._lost(f"no answer for {timeout:g} s")
            await self.close()
            raise given_up(failure, timeout) if failure.passing else failure

    def begin(self) -> asyncio.Event:
        """Be connected from now on, without waiting for it; returns what is set when trying again will not help."""
        if self._is_left_over:
            self._forget()
        if self._task is None:
            self._failed.clear()
            self._task = asyncio.get_running_loop().create_task(self._stay(), name="taskiq-nats-connection")
        return self._failed

    async def close(self) -> None:
        """Be connected no more."""
        if self._is_left_over:
            self._forget()
            return
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait([task])
        link, self.link = self.link, None
        self._ready.clear()
        if link is not None:
            link.on_broken = None
            link.close()

    async def usable(self) -> Link:
        """The link; waits for one no longer than `patience`.

        :raises NatsError: if there is none.
        """
        if self.link is not None and self.link.usable:
            return self.link
        if self._task is None or self._process != os.getpid():
            reason = "this process has not started what it belongs to"
            raise lost(self.location.server, reason, certain=True)
        if self._is_left_over:
            self.begin()
        elif self._task.get_loop() is not asyncio.get_running_loop():
            reason = (
                f"What uses NATS at {self.location.server} was started in another event loop, which still runs: use it there."
            )
            raise NatsError(reason=reason)
        try:
            async with asyncio.timeout(self.patience):
                await _first(self._ready.wait(), self._failed.wait())
        except TimeoutError:
            pass
        if self.link is None or not self.link.usable:
            raise self._failure or self._lost("the connection is closed")
        return self.link

    async def request(self, subject: str, data: bytes = b"", headers: bytes = b"", *, timeout: float | None = None) -> Msg:
        """Ask, and return the answer.

        :raises NatsError: if there is none within `timeout` seconds (default: `patience`); it may have taken effect then,
            unless the error is `certain`.
        """
        link, seconds = await self.usable(), timeout or self.patience
        try:
            async with asyncio.timeout(seconds):
                answer = await link.request(subject, data, headers)
        except TimeoutError:
            raise lost(link.place, f"no answer within {seconds:g} s", certain=False) from None
        if answer.status == "503":
            raise nobody_answers(link.place, subject)
        return answer

    async def api(self, name: str, body: Mapping[str, Any] | None = None, *, timeout: float | None = None) -> dict[str, Any]:
        """One call of JetStream's API, `$JS.API.<name>`.

        :raises NatsError: for an error that it answers with too; its `code` is that of the answer.
        """
        text = b"" if body is None else json.dumps(body).encode()
        answer = await self.request(f"$JS.API.{name}", text, timeout=timeout)
        found: dict[str, Any] = json.loads(answer.data)
        self.check(found)
        return found

    def check(self, answer: Mapping[str, Any]) -> None:
        """Look for an error in an answer of JetStream's.

        :raises NatsError: if there is one.
        """
        error = answer.get("error")
        if error is not None:
            raise explain(error.get("err_code", 0), error.get("description", ""), self.location.server)

    def listen(self, subject: str, handler: Handler) -> None:
        """From now on `handler` gets what is published on `subject`, on each link that will be made."""
        self._subjects[subject] = handler
        if self.link is not None:
            self.link.subscribe(subject, handler)

    def on_link(self, greeter: Callable[[Link], None]) -> Callable[[], None]:
        """Call `greeter` with each link that is made from now on, before others use it; returns what ends that."""
        self._greeters.append(greeter)
        return lambda: self._greeters.remove(greeter)

    def _lost(self, why: object) -> NatsError:
        return lost(self.location.server, why, certain=True)

    @property
    def _is_left_over(self) -> bool:
        """Whether it was begun in a process that we were forked from, or in an event loop that is over."""
        return self._process != os.getpid() or (self._task is not None and not self._task.get_loop().is_running())

    def _forget(self) -> None:
        """Leave what a fork brought to the process that it belongs to, and what belongs to an event loop that is over."""
        if self.link is not None:
            with contextlib.suppress(RuntimeError):  # the loop is closed, and what it had with it
                self.link.close()  # which only keeps what is another process's
        self.link, self._task, self._process = None, None, os.getpid()
        self._ready, self._failed = asyncio.Event(), asyncio.Event()

    async def _stay(self) -> None:
        pause = _PAUSES[0]
        while True:
            try:
                link = await self._connect()
            except NatsError as error:
                self._failure = error
                if error.passing or not self._opening:  # else it is told by whoever opens
                    what = "NATS cannot be reached, trying again" if error.passing else "NATS cannot be used, trying again"
                    self._outage.say(what, error)
                if not error.passing:
                    self._failed.set()
                await asyncio.sleep(random.uniform(pause / 2, pause))
                pause = min(2 * pause, _PAUSES[1])
                continue
            pause = _PAUSES[0]
            self._failure = None
            self._failed.clear()
            self._outage.over()
            try:
                await self._use(link)
            finally:  # an event loop that ends cancels us, and nobody else closes it then
                link.close()

    async def _connect(self) -> Link:
        failure: NatsError | None = None
        for address in random.sample(self._servers, len(self._servers)):
            try:
                return await open_link(self.location, address, self.patience)
            except NatsError as error:
                failure = error
        assert failure is not None
        raise failure

    async def _use(self, link: Link) -> None:
        """Return when it has broken."""
        broken = asyncio.Event()
        link.on_broken = broken.set
        with contextlib.suppress(NatsError):  # then it is broken already
            for url in link.info.get("connect_urls", ()):
                host, _, port = str(url).rpartition(":")
                if (address := (host.strip("[]"), int(port))) not in self._servers:
                    self._servers.append(address)
            for subject, handler in self._subjects.items():
                link.subscribe(subject, handler)
            self.link, self.made = link, self.made + 1
            for greeter in list(self._greeters):
                greeter(link)
            self._ready.set()
            await broken.wait()
        self._failure = lost(link.place, "the connection was closed", certain=True)
        self._ready.clear()
        self.link = None


def _outage(server: str) -> Outage:
    """One for all connections of a process to the same servers: to say it once will do."""
    found = _outages.get(server)
    if found is None:
        found = _outages[server] = Outage(logger, "NATS is connected again")
    return found


async def _first(*waits: Coroutine[Any, Any, Any]) -> None:
    """Return when one of them is over."""
    tasks = [asyncio.ensure_future(wait) for wait in waits]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
