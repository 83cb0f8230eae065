"""What a URL says: which server, under which prefix, and the options of the plugin."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import SplitResult, unquote

from taskiq_core.exceptions import ConfigurationError
from taskiq_core.url_options import Read, flag, host_and_port, query_of, read_options, split_url
from taskiq_core_brokers_redis.servers import Address, ClusterServer, SentinelServer, Server, SingleServer

DEFAULT_PREFIX = "taskiq"
_SCHEMES = ("redis", "rediss", "redis+sentinel", "redis+cluster")

_TLS_OPTIONS = {"ssl_ca_certs", "ssl_certfile", "ssl_keyfile", "ssl_cert_reqs", "ssl_check_hostname"}
CONNECTION_OPTIONS = frozenset({"db", "prefix", "client_name", "ssl", "sentinel_username", "sentinel_password", *_TLS_OPTIONS})
"""What the query of every plugin's URL may say about the connection."""

_FORMS = (
    "redis://host:6379/0, rediss://host:6379/0 (TLS), redis:///path/to.sock?db=0 (Unix socket), "
    "redis+sentinel://host:26379,host2:26379/service/0 or redis+cluster://host:7000,host2:7001"
)


@dataclass(frozen=True)
class Location:
    """A place for keys: a server and the root that all of them begin with."""

    server: Server = field(repr=False)
    root: str

    @property
    def place(self) -> str:
        """Equal for two locations that share their data; holds no secret."""
        return f"{self.server.place} {self.root}"


def options_in(url: str, options: Mapping[str, Read]) -> dict[str, Any]:
    """What the query of a URL says about the plugin itself.

    :raises ConfigurationError: for an option that nobody would read, or a value that will not do.
    """
    return read_options(_split(url), options, CONNECTION_OPTIONS, "Redis")


def locate(url: str, prefix: str | None, connection: Mapping[str, Any]) -> Location:
    """The place that a URL means; `connection` adds keyword arguments of redis-py's `Connection` to it.

    :raises ConfigurationError: for a URL of no known form; the text repeats no part of it, as it may hold a password.
    """
    parts = _split(url)
    query = query_of(parts)
    root = "{" + _checked_prefix(query.get("prefix", DEFAULT_PREFIX) if prefix is None else prefix) + "}"
    options: dict[str, Any] = {**_credentials(parts.netloc), **_from_query(query), **connection}
    if parts.scheme == "rediss" or flag("ssl", query.get("ssl", "false")):
        options["ssl"] = True
    nodes = _addresses(parts.netloc, 26379 if parts.scheme == "redis+sentinel" else 6379)
    if parts.scheme == "redis+cluster":
        if _database(parts.path, query):
            raise ConfigurationError(reason="A Redis cluster has only database 0: leave the number out of the URL.")
        return Location(ClusterServer(nodes, root, options), root)
    if parts.scheme == "redis+sentinel":
        service, _, database = parts.path.strip("/").partition("/")
        if not service:
            raise ConfigurationError(reason=f"A Sentinel URL names the service to look for. Write {_FORMS}.")
        options["db"] = _database(database, query)
        own = {name: query[f"sentinel_{name}"] for name in ("username", "password") if f"sentinel_{name}" in query}
        return Location(SentinelServer(nodes, service, options, own), root)
    if len(nodes) != 1:
        raise ConfigurationError(reason=f"This is not a Redis URL. Write {_FORMS}.")
    if not _bare_host(parts.netloc) and parts.path.strip("/") and not parts.path.strip("/").isdigit():
        options |= {"path": unquote(parts.path), "db": _database("", query)}
    else:
        options |= {"host": nodes[0][0], "port": nodes[0][1], "db": _database(parts.path, query)}
    return Location(SingleServer(options), root)


def _split(url: str) -> SplitResult:
    return split_url(url, "Redis", _FORMS, _SCHEMES)


def _checked_prefix(prefix: str) -> str:
    if not prefix:
        raise ConfigurationError(reason="The prefix is empty: leave it out, or give one.")
    if "{" in prefix or "}" in prefix:
        raise ConfigurationError(
            reason="A prefix must not contain braces: they are put around it, as its hash tag in a cluster."
        )
    return prefix


def _bare_host(netloc: str) -> str:
    return netloc.rpartition("@")[2]


def _credentials(netloc: str) -> dict[str, str]:
    username, _, password = netloc.rpartition("@")[0].partition(":")
    return {
        name: unquote(value) for name, value in (("username", username), ("password", password)) if value
    }  # fmt: skip


def _addresses(netloc: str, default_port: int) -> list[Address]:
    return [host_and_port(part, default_port, "Redis", _FORMS) for part in _bare_host(netloc).split(",")]


def _database(path: str, query: Mapping[str, str]) -> int:
    text = path.strip("/") or query.get("db", "0")
    if not text.isdigit():
        raise ConfigurationError(reason=f"The database in the Redis URL is a number, not {text!r}. Write {_FORMS}.")
    return int(text)


def _from_query(query: Mapping[str, str]) -> dict[str, Any]:
    options: dict[str, Any] = {name: query[name] for name in (*_TLS_OPTIONS, "client_name") if name in query}
    if "ssl_check_hostname" in options:
        options["ssl_check_hostname"] = flag("ssl_check_hostname", options["ssl_check_hostname"])
    return options
