"""Opening a connection: ours the socket, aiormq's the handshake, ours again what comes after it."""

import asyncio
import contextlib
import logging
import ssl
from contextvars import ContextVar
from typing import Any, cast
from urllib.parse import quote

from aiormq import Connection
from aiormq import exceptions as refusals
from aiormq.connection import TransportFactory
from yarl import URL

from taskiq_core_brokers_rabbitmq.errors import RabbitError, lost, refused_opening, refused_tls
from taskiq_core_brokers_rabbitmq.link import Link, version_of
from taskiq_core_brokers_rabbitmq.location import Location

_ours = ContextVar("ours", default=False)
# What aiormq has to say of a connection of ours comes from us, once, and as an error of ours.
logging.getLogger("aiormq.connection").addFilter(lambda _: not _ours.get())


class _LentWriter:
    """A writer that its borrower takes for closed from some moment on, so that the borrower does not close it."""

    def __init__(self, writer: asyncio.StreamWriter) -> None:
        self._writer = writer
        self.returned = False

    def is_closing(self) -> bool:
        return self.returned or self._writer.is_closing()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._writer, name)


class _Lend(TransportFactory):
    def __init__(self, reader: asyncio.StreamReader, writer: _LentWriter) -> None:
        self._pair = cast("tuple[asyncio.StreamReader, asyncio.StreamWriter]", (reader, writer))

    async def create(self, url: URL, **kwargs: Any) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return self._pair


async def connect(location: Location, *, name: str, heartbeat: float, patience: float) -> Link:
    """A new connection in the event loop that runs. Cancelling closes what is open of it.

    :raises RabbitError: if the server cannot be reached within `patience` seconds, or refuses us.
    """
    writer: asyncio.StreamWriter | None = None
    try:
        async with asyncio.timeout(patience):
            reader, writer = await asyncio.open_connection(location.host, location.port, ssl=location.tls_context())
            link = await _shake_hands(location, reader, writer, name, heartbeat)
        writer = None
    except TimeoutError:
        raise lost(location.server, f"no answer for {patience:g} s", certain=True) from None
    except refusals.AMQPError as error:  # some are errors of the system too
        raise _explain(location, error) from error
    except ssl.SSLError as error:
        raise refused_tls(location.server, error) from error
    except OSError as error:
        raise lost(location.server, error, certain=True) from error
    except RuntimeError as error:  # what uvloop says of a connection that broke before the first word
        if writer is None or not writer.transport.is_closing():
            raise
        raise lost(location.server, error, certain=True) from error
    finally:
        if writer is not None:
            writer.transport.abort()
    return link


async def _shake_hands(
    location: Location, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, name: str, heartbeat: float
) -> Link:
    lent = _LentWriter(writer)
    url = URL.build(
        scheme="amqp",
        user=location.user,
        password=location.password,
        host=location.host,
        port=location.port,
        path="/" + quote(location.vhost, safe=""),
        query={"heartbeat": str(round(heartbeat)), "name": name},
        encoded=False,
    )
    opened = Connection(url, transport_factory=_Lend(reader, lent))
    opened.vhost = location.vhost
    token = _ours.set(True)  # in the tasks that it starts too
    try:
        await cast("Any", opened).connect()
    finally:
        _ours.reset(token)
    lent.returned = True
    with contextlib.suppress(Exception):
        await opened.close()
    return Link(
        writer,
        location.server,
        frame_max=opened.connection_tune.frame_max or 131072,
        channel_max=opened.connection_tune.channel_max or 65535,
        heartbeat=heartbeat,
        version=version_of(opened.server_properties),
    )


def _explain(location: Location, error: Exception) -> RabbitError:
    text = " ".join(str(part) for part in error.args) or type(error).__name__
    if isinstance(error, (refusals.AuthenticationError, refusals.ProbableAuthenticationError)):
        return refused_opening(location.server, 403, text)
    # It says what it expected, and not why the server closed instead of opening the virtual host.
    if isinstance(error, refusals.ConnectionNotAllowed) or "got <Connection.Close" in text:
        return refused_opening(location.server, 530, text)
    return lost(location.server, text + _hint(location, text), certain=True)


def _hint(location: Location, text: str) -> str:
    """What may be the matter where a server hangs up in the middle of the handshake."""
    if "reset" not in text and "SSL" not in text:
        return ""
    if location.tls is None:
        return " (If it wants TLS on this port: write amqps://.)"
    if "certfile" not in location.tls:
        return " (If it wants a certificate of its clients: name yours in the URL, ?certfile=...&keyfile=....)"
    return " (It may not trust the authority of the certificate in certfile.)"
