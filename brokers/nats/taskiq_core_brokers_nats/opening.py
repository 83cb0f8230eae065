"""Opening a connection: nats-py connects and logs in, and then our link takes its transport over."""

import asyncio
import importlib
import json
import ssl
from importlib import metadata
from pathlib import Path
from typing import Any

from nats.aio.client import Client
from nats.aio.transport import TcpTransport
from nats.errors import Error as DriverError

from taskiq_core_brokers_nats.errors import NatsError, UnusableNatsError, lost, refused
from taskiq_core_brokers_nats.link import Link, Msg
from taskiq_core_brokers_nats.location import Location

_OLDEST = (2, 9)
_TASKS = ("_reading_task", "_ping_interval_task", "_flusher_task")
_PARTS = ("BEGIN NATS USER JWT", "BEGIN USER NKEY SEED")


async def open_link(location: Location, address: tuple[str, int], patience: float) -> Link:
    """A link that is ready for use. Cancelling leaves nothing behind.

    :raises NatsError: if there is none within `patience` seconds.
    """
    place = f"{address[0]}:{address[1]}"
    link, transport = Link(place, patience), _Transport(place, wants_tls=location.tls is not None)
    try:
        async with asyncio.timeout(patience):
            client = await _log_in(transport, location, address)
            await _take_over(client, transport, link)
    except BaseException as error:
        link.close()
        transport.abort()
        if isinstance(error, OSError | ValueError | DriverError):
            raise _explained(error, place, patience) from None
        raise
    return link


class _Transport(TcpTransport):
    """What nats-py logs in by. The lines that it is told meanwhile are a greeting that we agree to, then its pong."""

    def __init__(self, place: str, *, wants_tls: bool) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.info: dict[str, Any] = {}
        self._place = place
        self._wants_tls = wants_tls
        self._held = b""

    def __bool__(self) -> bool:
        return True  # else nats-py would replace it by one of its own

    def write(self, payload: bytes) -> None:
        """CONNECT goes with the PING behind it: a write to a server that has closed by then would lose what it said before."""
        if payload.startswith(b"CONNECT "):
            self._held = payload
            return
        super().write(self._held + payload)  # type: ignore[no-untyped-call]
        self._held = b""

    async def readline(self) -> bytes:
        while True:
            line: bytes = await super().readline()  # type: ignore[no-untyped-call]
            if not line:
                raise lost(self._place, "the server closed the connection", certain=True)
            if line.startswith(b"-ERR"):
                raise refused(line[4:].decode(errors="replace").strip(" '\r\n"), self._place)
            if not self.info:
                return self._greeted(line)
            if line.startswith(b"PONG"):
                return line
            if line.startswith(b"PING"):  # of a server that found the log-in slow; nats-py would take it for an end
                self.write(b"PONG\r\n")

    def streams(self) -> tuple[Any, Any]:
        """What nats-py reads from, and the transport below.

        :raises AttributeError: if it keeps them elsewhere.
        """
        writer: Any = self._io_writer
        return self._io_reader, writer.transport

    def abort(self) -> None:
        if self._io_writer is not None:
            self._io_writer.transport.abort()

    def _greeted(self, line: bytes) -> bytes:
        if not line.startswith(b"INFO "):
            raise _strange(self._place, line[:20])
        self.info = json.loads(line[5:])
        version = self.info.get("version", "0")
        if tuple(int(part) for part in version.split(".")[:2] if part.isdigit()) < _OLDEST:
            raise UnusableNatsError(reason=f"NATS at {self._place} is of version {version}, and 2.9 is the oldest that works.")
        if not self._wants_tls or self.info.get("tls_required"):
            return line
        # nats-py would go on without TLS, and send the password.
        if not self.info.get("tls_available"):
            reason = f"NATS at {self._place} has no TLS: write nats:// in the URL, or enable it there."
            raise UnusableNatsError(reason=reason)
        return b"INFO %b\r\n" % json.dumps(self.info | {"tls_required": True}).encode()


async def _log_in(transport: _Transport, location: Location, address: tuple[str, int]) -> Any:
    identity, (host, port) = location.identity, address
    if identity.credentials:
        _refuse_unusable(identity.credentials)
    client: Any = Client()
    if not hasattr(client, "_transport"):
        raise _unknown_driver()
    client._transport = transport
    try:
        await client.connect(
            f"nats://{f'[{host}]' if ':' in host else host}:{port}",
            name=identity.client_name,
            user=identity.user if identity.user or identity.password else None,
            password=identity.password,
            token=identity.token or None,
            user_credentials=identity.credentials or None,
            tls=location.tls,
            tls_hostname=location.tls_hostname,
            allow_reconnect=False,
            connect_timeout=None,  # the caller's limit holds; and `asyncio.wait_for`, which may lose a cancel, has no part then
            error_cb=_give_up,
        )
    except Exception as error:
        if identity.credentials and not isinstance(error, NatsError | OSError):
            raise _useless(identity.credentials, f"cannot be used: {type(error).__name__}") from None
        raise
    return client


async def _give_up(error: Exception) -> None:
    """Called by nats-py with what went wrong; without it, it would try again."""
    raise error


async def _take_over(client: Any, transport: _Transport, link: Link) -> None:
    """Until the first line that waits, nothing of nats-py's has had a chance to run since it returned."""
    try:
        tasks: list[asyncio.Task[None]] = [getattr(client, name) for name in _TASKS]
        reader, raw = transport.streams()
    except AttributeError:
        raise _unknown_driver() from None
    for task in tasks:
        task.cancel()
    if raw.is_closing() or reader.at_eof():
        raise lost(link.place, "the server closed the connection", certain=True)
    raw.set_protocol(link)
    link.begin(raw, transport.info, opener=transport)
    reader.feed_eof()
    link.data_received(await reader.read())  # what came behind the pong; it is there already
    await _open_inbox(link)
    await asyncio.wait(tasks)


async def _open_inbox(link: Link) -> None:
    """Return when the server has agreed to it: where it does not, no request would ever be answered."""
    refusals: list[Msg | NatsError] = []
    reply = link.expect(refusals.append)
    link.open_inbox()
    await link.flush()
    link.drop(reply)
    for refusal in refusals:
        if isinstance(refusal, NatsError):
            raise refusal


def _refuse_unusable(file: str) -> None:
    try:
        importlib.import_module("nkeys")
    except ImportError:
        reason = "A NATS credentials file needs a library to sign with: pip install taskiq-core-brokers-nats[credentials]."
        raise UnusableNatsError(reason=reason) from None
    text = Path(file).read_text(errors="replace")
    if not all(part in text for part in _PARTS):  # nats-py would look for them for ever
        raise _useless(file, "holds no JWT and seed of a user")


def _useless(file: str, why: str) -> UnusableNatsError:
    return UnusableNatsError(reason=f"{file} (credentials for NATS) {why}.")


def _unknown_driver() -> UnusableNatsError:
    version = metadata.version("nats-py")
    reason = f"nats-py {version} is unlike those that this broker knows: install one that taskiq-core-brokers-nats asks for."
    return UnusableNatsError(reason=reason)


def _strange(place: str, what: object) -> NatsError:
    return lost(place, f"it does not speak like NATS ({what})", certain=True)


def _explained(error: Exception, place: str, patience: float) -> NatsError:
    if isinstance(error, TimeoutError):
        return lost(place, f"no answer for {patience:g} s", certain=True)
    if isinstance(error, ssl.SSLError | ssl.CertificateError):
        return UnusableNatsError(reason=f"NATS at {place} cannot be trusted, or does not trust us: {error}")
    if isinstance(error, OSError):
        return lost(place, error, certain=True)
    return _strange(place, error)
