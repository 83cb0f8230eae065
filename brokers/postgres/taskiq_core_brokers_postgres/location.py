"""What a URL says: which server, which schema, and the options of the plugin."""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from urllib.parse import SplitResult, parse_qsl, unquote, urlencode, urlunsplit

from taskiq_core.exceptions import ConfigurationError
from taskiq_core.url_options import refuse_unknown, split_url

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


def options_in(url: str, known: Collection[str]) -> dict[str, str]:
    """Options for the plugin, which are those in `known`, from the query of a URL.

    :raises ConfigurationError: for an option that nobody would read.
    """
    options = dict(parse_qsl(_split(url).query, keep_blank_values=True))
    refuse_unknown(options, {*known, *CONNECTION_OPTIONS}, "The PostgreSQL URL")
    return {name: value for name, value in options.items() if name in known}


def locate(url: str, schema: str | None) -> Location:
    """The place that a URL means.

    :raises ConfigurationError: for a URL of no known form; the text repeats no part of it, as it may hold a password.
    """
    parts = _split(url)
    query = dict(parse_qsl(parts.query, keep_blank_values=True))
    name = schema or query.get("schema") or DEFAULT_SCHEMA
    if not _SCHEMA_NAME.fullmatch(name):
        reason = "The schema is a name of at most 40 letters, digits and underscores that begins with a letter."
        raise ConfigurationError(reason=reason)
    for_driver = urlencode({option: value for option, value in query.items() if option in _DRIVERS_OPTIONS})
    dsn = urlunsplit(("postgresql", parts.netloc, parts.path, for_driver, ""))
    account, _, hosts = parts.netloc.rpartition("@")
    user, _, password = account.partition(":")
    database = unquote(parts.path.strip("/"))
    _refuse_doubles(query, {"host": hosts, "port": ":" in hosts, "user": user, "password": password, "dbname": database})
    hosts = hosts or query.get("host", "localhost")
    if "port" in query:
        hosts = f"{hosts}:{query['port']}"
    # Without a name it is the one that is called like its user.
    return Location(dsn, f"{hosts}/{database or query.get('dbname') or unquote(user) or query.get('user', '')}", name)


def _refuse_doubles(query: Mapping[str, str], before_it: Mapping[str, object]) -> None:
    for option in query.keys() & {name for name, value in before_it.items() if value}:
        raise ConfigurationError(
            reason=f"The PostgreSQL URL says {option} twice, before and after its question mark: leave one."
        )


def flag(name: str, text: str) -> bool:
    """An option that is on or off.

    :raises ConfigurationError: for a text that is neither.
    """
    if text.lower() in {"true", "1", "yes"}:
        return True
    if text.lower() in {"false", "0", "no"}:
        return False
    raise ConfigurationError(reason=f"{name} is true or false, not {text!r}.")


def _split(url: str) -> SplitResult:
    return split_url(url, "PostgreSQL", _FORMS, {"postgresql", "postgres"})
