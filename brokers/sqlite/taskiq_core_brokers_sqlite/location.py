"""Where the file is and what else a URL says."""

from collections.abc import Collection, Mapping
from pathlib import Path
from urllib.parse import parse_qsl, unquote, urlsplit

from taskiq_core.exceptions import ConfigurationError

_FORMS = "sqlite:///relative/path.db or sqlite:////absolute/path.db"


def split_url(url: str, known: Collection[str]) -> tuple[str, dict[str, str]]:
    """Path and options of an `sqlite://` URL.

    :raises ConfigurationError: for a URL without a path, or an option that is not in `known`.
    """
    parts = urlsplit(url)
    path = unquote(parts.path)[1:]
    if parts.scheme != "sqlite" or parts.netloc or not path or path == ":memory:":
        reason = f"{_without_host(url)!r} does not name a database file: write {_FORMS}. For a queue in memory use memory://."
        raise ConfigurationError(reason=reason)
    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    refuse_unknown(options, known, url)
    return path, options


def file_path(url_or_path: "str | Path", known: Collection[str] = ()) -> str:
    """The path, of a path or of an `sqlite://` URL without options.

    :raises ConfigurationError: as `split_url`.
    """
    text = str(url_or_path)
    if text.startswith("sqlite:"):
        return split_url(text, known)[0]
    if not text or text == ":memory:":
        raise ConfigurationError(reason="SQLite needs the path of a file here. For a queue in memory use memory://.")
    return text


def refuse_unknown(options: Mapping[str, object], known: Collection[str], url: str) -> None:
    """Refuse options by name.

    :raises ConfigurationError: if there are any that nobody would read.
    """
    unknown = sorted(set(options) - set(known))
    if unknown:
        names = ", ".join(sorted(known)) or "none"
        reason = f"{_without_host(url)!r} has unknown options: {', '.join(unknown)}. Known are: {names}."
        raise ConfigurationError(reason=reason)


def _without_host(url: str) -> str:
    """Fit to be shown: what stands where other URLs have a host may hold a password."""
    scheme, separator, rest = url.partition("://")
    host, slash, path = rest.partition("/")
    return f"{scheme}{separator}{'...' if '@' in host else host}{slash}{path}"


def number(name: str, value: object) -> float:
    """A positive number of seconds.

    :raises ConfigurationError: for anything else.
    """
    try:
        seconds = float(str(value))
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < float("inf"):
        raise ConfigurationError(reason=f"{name} is a positive number of seconds, not {value!r}.")
    return seconds
