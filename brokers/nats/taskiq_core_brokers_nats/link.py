"""One connection to NATS: its text protocol, straight from the socket's callback into handlers.

Any number of requests may be in flight, and a batch of them is one write.
"""

import asyncio
import itertools
import logging
import os
import secrets
from collections import deque
from collections.abc import Callable
from typing import Any, NamedTuple

from taskiq_core_brokers_nats.errors import NatsError, lost, refused

logger = logging.getLogger("taskiq.nats")

_END = b"\r\n"
_SHORTEST_PAUSE = 0.05
_INHERITED: list["Link"] = []
"""Links of the process that we were forked from; kept, because to close one would end that process's connection."""


class Msg(NamedTuple):
    """What arrived."""

    subject: str
    reply: str
    headers: bytes
    """As on the wire, with the status line; empty if there are none."""
    data: bytes

    @property
    def status(self) -> str:
        """Three digits, of messages that are about a request rather than its answer; else empty."""
        return self.headers[9:12].decode() if self.headers[8:9] == b" " else ""


Handler = Callable[[Msg], None]
Answer = Callable[[Msg | NatsError], None]
"""Takes the answer to a request, or why there is none."""


def pub(subject: str, data: bytes, reply: str = "", headers: bytes = b"") -> bytes:
    """The command that publishes. `headers` are complete, see `headers_of`."""
    if headers:
        return b"HPUB %b %d %d\r\n%b%b\r\n" % (
            f"{subject} {reply}".encode(errors="surrogateescape"), len(headers), len(headers) + len(data), headers, data,
        )  # fmt: skip
    return b"PUB %b %d\r\n%b\r\n" % (f"{subject} {reply}".encode(errors="surrogateescape"), len(data), data)


class Link(asyncio.Protocol):
    """Commands out, messages in. When it breaks, everything in flight fails and it stays broken.

    :param patience: seconds without any sign of life after which the connection is given up; silence is broken by pings.
    """

    def __init__(self, place: str, patience: float) -> None:
        self.place = place
        self.patience = patience
        self.info: dict[str, Any] = {}
        self.server = ""
        """Which process of a server it is connected to."""
        self.on_broken: Callable[[], None] | None = None
        self._loop = asyncio.get_running_loop()
        self._pid = os.getpid()
        self._transport: asyncio.Transport | None = None
        self._opener: object = None
        self._broken: NatsError | None = None
        self._handlers: dict[bytes, Handler] = {}
        self._sids = itertools.count(2)
        self._inbox = f"_INBOX.{secrets.token_hex(11)}."
        self._tokens = itertools.count(1)
        self._answers: dict[str, Answer] = {}
        self._pongs: deque[asyncio.Future[None]] = deque()
        self._rest: list[bytes] = []
        self._size = 0
        self._needed = 0
        self._heard = self._watch_at = self._loop.time()

    @property
    def usable(self) -> bool:
        """False once it is broken, in a forked child, and in another event loop than its own."""
        return self._broken is None and self._loop is asyncio.get_running_loop() and self._pid == os.getpid()

    @property
    def max_payload(self) -> int:
        """Bytes of headers and body, at the most; a server ends a connection with more."""
        return int(self.info["max_payload"])

    def begin(self, transport: asyncio.Transport, info: dict[str, Any], opener: object) -> None:
        """Use `transport`, on which we are logged in; `info` is the server's greeting.

        `opener` lives as long as the link: the streams by which the connection was opened would close it with their end.
        """
        self._transport, self.info, self._opener = transport, info, opener
        self.server = str(info.get("server_id", ""))

    def open_inbox(self) -> None:
        """Be ready for requests, whose answers come to one inbox, and watch the connection."""
        self._handlers[b"1"] = self._answer
        self.write(f"SUB {self._inbox}* 1\r\n".encode())
        self._watch_later()

    def write(self, commands: bytes) -> None:
        """Write whole commands.

        :raises NatsError: if the link is broken; nothing was written then.
        """
        if self._broken is not None or self._transport is None:
            raise lost(self.place, "the connection is closed", certain=True)
        self._transport.write(commands)

    def expect(self, answer: Answer) -> str:
        """A subject to reply to; what arrives there goes to `answer`, which is called exactly once unless it is dropped."""
        token = str(next(self._tokens))
        self._answers[token] = answer
        return self._inbox + token

    def drop(self, reply: str) -> None:
        """Expect that answer no more."""
        self._answers.pop(reply[len(self._inbox) :], None)

    async def request(self, subject: str, data: bytes = b"", headers: bytes = b"") -> Msg:
        """Publish and return the answer; no time limit but that of the link."""
        future: asyncio.Future[Msg] = self._loop.create_future()

        def answered(result: Msg | NatsError) -> None:
            if not future.done():
                _resolve(future, result)

        reply = self.expect(answered)
        try:
            self.write(pub(subject, data, reply, headers))
            return await future
        finally:
            self.drop(reply)

    def subscribe(self, subject: str, handler: Handler) -> bytes:
        """Messages on `subject` go to `handler`; returns what `unsubscribe` takes."""
        sid = b"%d" % next(self._sids)
        self._handlers[sid] = handler
        self.write(b"SUB %b %b\r\n" % (subject.encode(), sid))
        return sid

    async def unsubscribe(self, *sids: bytes) -> None:
        """Return when nothing comes to their handlers any more."""
        self.write(b"".join([b"UNSUB %b\r\n" % sid for sid in sids]))
        await self.flush()
        for sid in sids:
            self._handlers.pop(sid, None)

    def unsubscribe_soon(self, sid: bytes) -> None:
        """Nothing goes to its handler any more, from now on."""
        self.write(b"UNSUB %b\r\n" % sid)
        self._handlers.pop(sid, None)

    async def flush(self) -> None:
        """Return when the server has read all that was written."""
        future: asyncio.Future[None] = self._loop.create_future()
        self._pongs.append(future)
        self.write(b"PING\r\n")
        await future

    def close(self, error: NatsError | None = None) -> None:
        """Break it. What is in flight fails with `error`."""
        if self._pid != os.getpid():
            _INHERITED.append(self)
            return
        if self._broken is not None:
            return
        self._broken = error or lost(self.place, "the connection was closed", certain=False)
        if self._transport is not None:
            self._transport.abort()
        answers, self._answers = self._answers, {}
        for answer in answers.values():
            answer(self._broken)
        for future in self._pongs:
            if not future.done():
                future.set_exception(self._broken)
                future.exception()  # whoever no longer waits for it shall not be told of it by the garbage collector
        if self.on_broken is not None:
            self.on_broken()

    @property
    def _pause(self) -> float:
        return max(_SHORTEST_PAUSE, self.patience / 3)

    def _watch(self) -> None:
        if self._broken is not None:
            return
        now = self._loop.time()
        if now > self._watch_at + self._pause:  # we ourselves stood still: that does not count against the server
            self._heard = now
        silent = now - self._heard
        if silent >= self.patience and self._pongs:
            self.close(lost(self.place, f"no answer for {self.patience:g} s", certain=False))
            return
        if silent >= self._pause and not self._pongs:
            self._pongs.append(self._loop.create_future())
            self.write(b"PING\r\n")
        self._watch_later()

    def _watch_later(self) -> None:
        self._watch_at = self._loop.time() + self._pause
        self._loop.call_at(self._watch_at, self._watch)

    def _answer(self, msg: Msg) -> None:
        answer = self._answers.pop(msg.subject[len(self._inbox) :], None)
        if answer is not None:
            answer(msg)

    # -- asyncio.Protocol -----------------------------------------------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        self._heard = self._loop.time()
        if self._rest:
            self._rest.append(data)
            self._size += len(data)
            if self._size < self._needed:
                return
            data = b"".join(self._rest)
            self._rest = []
        try:
            used = self._parse(data)
        except (ValueError, IndexError, KeyError) as error:
            self.close(lost(self.place, f"it does not speak like NATS ({error})", certain=False))
            return
        if used < len(data):
            self._rest, self._size = [data[used:]], len(data) - used

    def connection_lost(self, exc: Exception | None) -> None:
        closed = exc is None or isinstance(exc, BrokenPipeError)
        self.close(lost(self.place, "the server closed the connection" if closed else exc, certain=False))

    def _parse(self, data: bytes) -> int:
        """Handle all that is complete; returns how many bytes that was."""
        start, size, self._needed = 0, len(data), 0
        while (end := data.find(_END, start)) >= 0:
            line = data[start:end]
            body = end + 2
            if line.startswith((b"MSG ", b"HMSG ")):
                fields = line.split()
                length = int(fields[-1])
                if body + length + 2 > size:
                    self._needed = body + length + 2 - start
                    return start
                head = int(fields[-2]) if fields[0] == b"HMSG" else 0
                reply = fields[3].decode() if len(fields) == (6 if head else 5) else ""
                handler = self._handlers.get(fields[2])
                if handler is not None:
                    after = body + head
                    _hand(
                        handler,
                        Msg(fields[1].decode(errors="surrogateescape"), reply, data[body:after], data[after : body + length]),
                    )
                start = body + length + 2
            else:
                self._control(line)
                start = body
        return start

    def _control(self, line: bytes) -> None:
        if line == b"PING":
            if self._broken is None:
                self.write(b"PONG\r\n")
        elif line == b"PONG":
            future = self._pongs.popleft()
            if not future.done():
                future.set_result(None)
        elif line.startswith(b"-ERR"):
            self._refused(line[4:].decode(errors="replace").strip(" '"))

    def _refused(self, said: str) -> None:
        error = refused(said, self.place)
        if "permissions violation" in said.lower():  # the connection goes on, and somebody waits for an answer in vain
            answers, self._answers = self._answers, {}
            for answer in answers.values():
                answer(error)
        else:
            self.close(error)


def _hand(handler: Handler, msg: Msg) -> None:
    try:
        handler(msg)
    except Exception:
        logger.exception("A message on %s could not be handled", msg.subject)  # and the others are


def _resolve(future: "asyncio.Future[Msg]", result: Msg | NatsError) -> None:
    if isinstance(result, NatsError):
        future.set_exception(result)
        future.exception()
    else:
        future.set_result(result)
