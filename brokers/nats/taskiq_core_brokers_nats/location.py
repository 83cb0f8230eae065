"""What a URL says: which servers, who we are, under which prefix, and the options of the plugin."""

import re
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, unquote

from taskiq_core.exceptions import ConfigurationError
from taskiq_core.url_options import Read, host_and_port, query_of, read_options, split_url

DEFAULT_PREFIX = "taskiq"
_PREFIX = re.compile(r"[A-Za-z0-9_-]{1,64}")
_FORMS = "nats://user:password@host:4222 or tls+nats://host:4222 (TLS), with more servers of the cluster after commas"
_SCHEMES = {"nats": False, "natss": True, "tls": True, "tls+nats": True}

_FILES = frozenset({"tls_ca", "tls_cert", "tls_key", "credentials"})
CONNECTION_OPTIONS = frozenset({"prefix", "client_name", "tls_hostname", *_FILES})
"""What the query of every plugin's URL may say about the connection."""


@dataclass(frozen=True)
class Identity:
    """Who we say that we are."""

    user: str = ""
    password: str = field(default="", repr=False)
    token: str = field(default="", repr=False)
    credentials: str = ""
    """Path of a file with a JWT and the seed of an nkey."""
    client_name: str = "taskiq"


@dataclass(frozen=True)
class Location:
    """Servers of one cluster, and a prefix that all our streams and subjects begin with."""

    servers: tuple[tuple[str, int], ...]
    identity: Identity = field(repr=False)
    tls: ssl.SSLContext | None = field(repr=False)
    """What to secure the connection with; a server may want it also where this is None."""
    tls_hostname: str | None
    prefix: str

    @property
    def server(self) -> str:
        """For texts; holds no secret."""
        return ",".join(f"{host}:{port}" for host, port in self.servers)

    @property
    def place(self) -> str:
        """Equal for two locations that share their data; holds no secret."""
        return f"{self.server} {self.prefix}"


def options_in(url: str, options: Mapping[str, Read]) -> dict[str, Any]:
    """What the query of a URL says about the plugin itself.

    :raises ConfigurationError: for an option that nobody would read, or a value that will not do.
    """
    return read_options(_split(url), options, CONNECTION_OPTIONS, "NATS")


def locate(url: str, prefix: str | None = None) -> Location:
    """The place that a URL means.

    :raises ConfigurationError: for a URL of no known form; the text repeats no part of it, as it may hold a password.
    """
    parts = _split(url)
    query = query_of(parts)
    name = query.get("prefix", DEFAULT_PREFIX) if prefix is None else prefix
    if not _PREFIX.fullmatch(name):
        raise ConfigurationError(reason="The prefix is made of 1 to 64 letters, digits, - and _, as streams are named by it.")
    who, _, hosts = parts.netloc.rpartition("@")
    user, colon, password = who.partition(":")
    for option in sorted(_FILES & query.keys()):
        if not Path(query[option]).is_file():
            raise ConfigurationError(reason=f"There is no file {query[option]} ({option} in the NATS URL).")
    if who and "credentials" in query:
        raise ConfigurationError(reason="The NATS URL names a user or token and a credentials file too: choose one of them.")
    identity = Identity(
        user=unquote(user) if colon else "",
        password=unquote(password),
        token="" if colon else unquote(user),
        credentials=query.get("credentials", ""),
        client_name=query.get("client_name", "taskiq"),
    )
    servers = tuple(host_and_port(item, 4222, "NATS", _FORMS) for item in hosts.split(","))
    wants_tls = _SCHEMES[parts.scheme] or any(option.startswith("tls_") for option in query)
    return Location(servers, identity, _context(query) if wants_tls else None, query.get("tls_hostname"), name)


def _split(url: str) -> SplitResult:
    parts = split_url(url, "NATS", _FORMS, _SCHEMES)
    if parts.path.strip("/"):
        raise ConfigurationError(reason=f"This is not a NATS URL. Write {_FORMS}.")
    return parts


def copies(name: str, value: object) -> int:
    """On how many servers of a cluster something is kept, of an option.

    :raises ConfigurationError: if it is not 1 to 5.
    """
    text = str(value)
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= 5):
        raise ConfigurationError(reason=f"{name} is a number from 1 to 5, as NATS keeps so many copies, not {text!r}.")
    return int(text)


def _context(query: dict[str, str]) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=query.get("tls_ca"))
        if "tls_cert" in query:
            context.load_cert_chain(query["tls_cert"], query.get("tls_key"))
    except (ssl.SSLError, OSError) as error:
        raise ConfigurationError(reason=f"The certificates that the NATS URL names cannot be used: {error}") from error
    return context
