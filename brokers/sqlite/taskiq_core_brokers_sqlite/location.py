"""Where the file is and what else a URL says."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from taskiq_core.exceptions import ConfigurationError
from taskiq_core.url_options import Read, read_options

_FORMS = "sqlite:///relative/path.db or sqlite:////absolute/path.db"


def split_url(url: str, options: Mapping[str, Read]) -> tuple[str, dict[str, Any]]:
    """Path and options of an `sqlite://` URL.

    :raises ConfigurationError: for a URL without a path, an option that is not one of these, or a value that will not do.
    """
    parts = urlsplit(url)
    path = unquote(parts.path)[1:]
    if parts.scheme != "sqlite" or parts.netloc or not path or path == ":memory:":
        reason = f"{_without_host(url)!r} does not name a database file: write {_FORMS}. For a queue in memory use memory://."
        raise ConfigurationError(reason=reason)
    return path, read_options(parts, options, (), "SQLite")


def file_path(url_or_path: "str | Path") -> str:
    """The path, of a path or of an `sqlite://` URL without options.

    :raises ConfigurationError: as `split_url`.
    """
    text = str(url_or_path)
    if text.startswith("sqlite:"):
        return split_url(text, {})[0]
    if not text or text == ":memory:":
        raise ConfigurationError(reason="SQLite needs the path of a file here. For a queue in memory use memory://.")
    return text


def _without_host(url: str) -> str:
    """Fit to be shown: what stands where other URLs have a host may hold a password."""
    scheme, separator, rest = url.partition("://")
    host, slash, path = rest.partition("/")
    return f"{scheme}{separator}{'...' if '@' in host else host}{slash}{path}"
