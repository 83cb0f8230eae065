"""Where the file is and what else a URL says."""

from collections.abc import Collection
from pathlib import Path
from urllib.parse import parse_qsl, unquote, urlsplit

from taskiq_core.exceptions import ConfigurationError
from taskiq_core.url_options import refuse_unknown

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
    refuse_unknown(options, known, "The SQLite URL")
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


def _without_host(url: str) -> str:
    """Fit to be shown: what stands where other URLs have a host may hold a password."""
    scheme, separator, rest = url.partition("://")
    host, slash, path = rest.partition("/")
    return f"{scheme}{separator}{'...' if '@' in host else host}{slash}{path}"
