"""What a URL says: which server, which schema, and the options of the plugin."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import SplitResult, unquote, urlencode, urlunsplit

from taskiq_core.exceptions import ConfigurationError
from taskiq_core.url_options import Read, query_of, read_options, split_url
from taskiq_core_brokers_postgres.connection_options import check_connection

DEFAULT_SCHEMA = "taskiq"
_SCHEMA_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,39}")
_FORMS = "postgresql://user:password@host:5432/database, with more hosts after commas"

_DRIVERS_OPTIONS = {
    *("application_name", "dbname", "host", "passfile", "password", "port", "target_session_attrs", "user"),
    *("sslcert", "sslcrl", "sslkey", "sslmode", "sslpassword", "sslrootcert"),
}
CONNECTION_OPTIONS = frozenset({"schema", *_DRIVERS_OPTIONS})
"""What the query of every plugin's URL may say about the connection."""


@dataclass(frozen=True)
class Location:
    """A place for tables: a database, and a schema in it."""

    dsn: str = field(repr=False)
    server: str
    schema: str

    @property
    def place(self) -> str:
        """Equal for two locations that share their data; holds no secret."""
        return f"{self.server} {self.schema}"

    @property
    def channel(self) -> str:
        """Where notifications of ready messages go."""
        return f"taskiq:{self.schema}"

    @property
    def results_channel(self) -> str:
        """Where notifications of stored results go."""
        return f"results.taskiq:{self.schema}"

    @property
    def schedules_channel(self) -> str:
        """Where notifications of changed schedules go."""
        return f"schedules.taskiq:{self.schema}"


def options_in(url: str, options: Mapping[str, Read]) -> dict[str, Any]:
    """What the query of a URL says about the plugin itself.

    :raises ConfigurationError: for an option that nobody would read, or a value that will not do.
    """
    return read_options(_split(url), options, CONNECTION_OPTIONS, "PostgreSQL")


def locate(url: str, schema: str | None) -> Location:
    """The place that a URL means.

    :raises ConfigurationError: for a URL of no known form; the text repeats no part of it, as it may hold a password.
    """
    parts = _split(url)
    query = query_of(parts)
    name = _checked_schema(query.get("schema", DEFAULT_SCHEMA) if schema is None else schema)
    for_driver = urlencode({option: value for option, value in query.items() if option in _DRIVERS_OPTIONS})
    dsn = urlunsplit(("postgresql", parts.netloc, parts.path, for_driver, ""))
    account, _, hosts = parts.netloc.rpartition("@")
    user, _, password = account.partition(":")
    if "@" in account:  # the driver takes what is between the two for a host
        raise ConfigurationError(reason="The PostgreSQL URL has two @: write one in a user name or password as %40.")
    check_connection(hosts, query)
    database = unquote(parts.path.strip("/"))
    _refuse_doubles(query, {"host": hosts, "port": ":" in hosts, "user": user, "password": password, "dbname": database})
    hosts = hosts or query.get("host", "localhost")
    if "port" in query:
        hosts = f"{hosts}:{query['port']}"
    # Without a name it is the one that is called like its user.
    return Location(dsn, f"{hosts}/{database or query.get('dbname') or unquote(user) or query.get('user', '')}", name)


def _checked_schema(name: object) -> str:
    if not isinstance(name, str) or not _SCHEMA_NAME.fullmatch(name):
        reason = "The schema is a name of at most 40 letters, digits and underscores that begins with a letter."
        raise ConfigurationError(reason=reason)
    if name.lower().startswith("pg_"):
        raise ConfigurationError(reason="The schema has a name that begins with pg_: those are PostgreSQL's own.")
    return name


def _refuse_doubles(query: Mapping[str, str], before_it: Mapping[str, object]) -> None:
    for option in query.keys() & {name for name, value in before_it.items() if value}:
        raise ConfigurationError(
            reason=f"The PostgreSQL URL says {option} twice, before and after its question mark: leave one."
        )


def _split(url: str) -> SplitResult:
    return split_url(url, "PostgreSQL", _FORMS, {"postgresql", "postgres"})
