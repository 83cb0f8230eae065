"""Opening a connection: the server's greeting, TLS, and who we are."""

import asyncio
import json
import ssl
from typing import Any

from taskiq_core_brokers_nats import credentials
from taskiq_core_brokers_nats.errors import UnusableNatsError, lost
from taskiq_core_brokers_nats.link import Link
from taskiq_core_brokers_nats.location import Location

_OLDEST = (2, 9)


async def open_link(location: Location, address: tuple[str, int], patience: float) -> Link:
    """A link that is ready for use.

    :raises NatsError: if there is none within `patience` seconds.
    """
    place = f"{address[0]}:{address[1]}"
    link = Link(place, patience)
    try:
        async with asyncio.timeout(patience):
            await _greet(link, location, address)
    except TimeoutError:
        error = lost(place, f"no answer for {patience:g} s", certain=True)
        link.close(error)
        raise error from None
    except (ssl.SSLError, ssl.CertificateError) as error:
        link.close()
        raise UnusableNatsError(reason=f"NATS at {place} cannot be trusted, or does not trust us: {error}") from None
    except OSError as error:
        link.close()
        raise lost(place, error, certain=True) from None
    except BaseException:
        link.close()
        raise
    return link


async def _greet(link: Link, location: Location, address: tuple[str, int]) -> None:
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_connection(lambda: link, *address)
    link.begin(transport)
    info: dict[str, Any] = json.loads(await link.greeted)
    link.info = info
    if location.tls is not None or info.get("tls_required"):
        if not (info.get("tls_required") or info.get("tls_available")):
            raise UnusableNatsError(reason=f"NATS at {link.place} has no TLS: write nats:// in the URL, or enable it there.")
        context = location.tls or ssl.create_default_context()
        secured = await loop.start_tls(transport, link, context, server_hostname=location.tls_hostname or address[0])
        assert secured is not None
        link.begin(secured)
    _refuse_old(info.get("version", "0"), link.place)
    link.write(b"CONNECT %b\r\n" % json.dumps(_who(location, info, link.place)).encode())
    await link.flush()
    link.open_inbox()


def _who(location: Location, info: dict[str, Any], place: str) -> dict[str, Any]:
    identity = location.identity
    fields: dict[str, Any] = {
        "verbose": False,
        "pedantic": False,
        "lang": "python",
        "version": "0.1.0",
        "protocol": 1,
        "echo": True,
        "headers": True,
        "no_responders": True,
        "name": identity.client_name,
    }
    if identity.user:
        fields |= {"user": identity.user, "pass": identity.password}
    if identity.token:
        fields["auth_token"] = identity.token
    if identity.credentials:
        fields |= credentials.sign(identity.credentials, info.get("nonce", ""), place)
    return fields


def _refuse_old(version: str, place: str) -> None:
    numbers = tuple(int(part) for part in version.split(".")[:2] if part.isdigit())
    if numbers < _OLDEST:
        raise UnusableNatsError(reason=f"NATS at {place} is of version {version}, and 2.9 is the oldest that works.")
