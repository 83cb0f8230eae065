"""What a URL says: which server, which virtual host, and the options of the plugin."""

import re
import ssl
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from urllib.parse import SplitResult, unquote

from taskiq_core.exceptions import ConfigurationError
from taskiq_core.url_options import query_of, refuse_unknown, split_url

DEFAULT_PREFIX = "taskiq"
_PREFIX = re.compile("[A-Za-z0-9._-]{1,40}")
_PORTS = {"amqp": 5672, "amqps": 5671, "rabbitmq": 5672}
_FORMS = "amqp://user:password@host:5672/vhost, or amqps:// for TLS"
_TLS = {"cafile", "certfile", "keyfile", "verify"}
CONNECTION_OPTIONS = frozenset({"prefix", *_TLS})
"""What the query of a URL may say about the connection."""


@dataclass(frozen=True)
class Location:
    """A place for queues: a virtual host, and what their names begin with."""

    host: str
    port: int
    user: str = field(repr=False)
    password: str = field(repr=False)
    vhost: str
    prefix: str
    tls: Mapping[str, str] | None = None
    """Options for TLS; None without it."""

    @property
    def server(self) -> str:
        """For errors; holds no secret."""
        return f"{self.host}:{self.port}"

    @property
    def place(self) -> str:
        """Equal for two locations that share their queues; holds no secret."""
        return f"{self.server} {self.vhost} {self.prefix}"

    def tls_context(self) -> ssl.SSLContext | None:
        """What the connection is encrypted with.

        :raises ConfigurationError: for files that cannot be read.
        """
        if self.tls is None:
            return None
        try:
            context = ssl.create_default_context(cafile=self.tls.get("cafile"))
            if "certfile" in self.tls:
                context.load_cert_chain(self.tls["certfile"], self.tls.get("keyfile"))
        except (OSError, ssl.SSLError) as error:
            files = ", ".join(f"{name}={file}" for name, file in self.tls.items() if name != "verify")
            reason = f"The files of the amqps URL cannot be used ({files}): {error}"
            raise ConfigurationError(reason=reason) from error
        if self.tls.get("verify") == "false":
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return context


def options_in(url: str, known: Collection[str]) -> dict[str, str]:
    """Options for the plugin, which are those in `known`, from the query of a URL.

    :raises ConfigurationError: for an option that nobody would read.
    """
    options = query_of(_split(url))
    refuse_unknown(options, {*known, *CONNECTION_OPTIONS}, "The RabbitMQ URL")
    return {name: value for name, value in options.items() if name in known}


def locate(url: str, prefix: str | None) -> Location:
    """The place that a URL means.

    :raises ConfigurationError: for a URL of no known form; the text repeats no part of it, as it may hold a password.
    """
    parts = _split(url)
    query = query_of(parts)
    name = query.get("prefix", DEFAULT_PREFIX) if prefix is None else prefix
    if not _PREFIX.fullmatch(name) or name.startswith("amq."):
        reason = "The prefix is made of at most 40 letters of ASCII, digits and . _ - and does not begin with 'amq.'."
        raise ConfigurationError(reason=reason)
    tls = {option: value for option, value in query.items() if option in _TLS}
    if tls and parts.scheme != "amqps":
        raise ConfigurationError(reason=f"{', '.join(sorted(tls))} is for TLS: write amqps:// in the URL.")
    if tls.get("verify", "true") not in {"true", "false"}:
        raise ConfigurationError(reason="verify is true or false.")
    if "," in parts.netloc.rpartition("@")[2]:
        reason = "The RabbitMQ URL names several hosts. Name one, which may be a balancer or a DNS name in front of a cluster."
        raise ConfigurationError(reason=reason)
    return Location(
        host=parts.hostname or "localhost",
        port=_port(parts),
        user=unquote(parts.username or "guest"),
        password=unquote(parts.password or "guest"),
        vhost=unquote(parts.path[1:]) or "/",
        prefix=name,
        tls=tls if parts.scheme == "amqps" else None,
    )


def _port(parts: SplitResult) -> int:
    try:
        return parts.port or _PORTS[parts.scheme]
    except ValueError:
        raise ConfigurationError(reason=f"The RabbitMQ URL has no number as its port. Write {_FORMS}.") from None


def _split(url: str) -> SplitResult:
    return split_url(url, "RabbitMQ", _FORMS, _PORTS)
