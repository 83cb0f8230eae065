"""The URL of a plugin: taken apart without telling a password; its options read, or refused by name."""

import re
from collections.abc import Callable, Collection, Mapping
from typing import Any
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from taskiq_core.exceptions import ConfigurationError

Read = Callable[[str, str], object]
"""Makes its value of an option's name and text, or raises `ConfigurationError`."""

_NO_HOST = re.compile(r"[/?#@\\\[\]\s]")
_QUOTED, _QUOTES = "/ ? # [ ] @", "%2F %3F %23 %5B %5D %40"


def split_url(url: str, server: str, forms: str, schemes: Collection[str]) -> SplitResult:
    """The parts of a URL that may hold a password.

    :param server: its name, for the texts of errors, as in "Redis".
    :param forms: what may be written.
    :raises ConfigurationError: for another scheme, and for a password that is not quoted; no part of the URL is repeated.
    """
    try:
        parts = urlsplit(url)
    except ValueError:
        parts = SplitResult("", "", "", "", "")
    # Behind the host that is part of a password.
    if "@" in parts.path + parts.query or parts.fragment:
        reason = f"The {server} URL has @ or # behind its host: write {_QUOTED} in a user name or password as {_QUOTES}."
        raise ConfigurationError(reason=reason)
    if parts.scheme not in schemes:
        raise ConfigurationError(reason=f"This is not a {server} URL. Write {forms}.")
    return parts


def query_of(parts: SplitResult) -> dict[str, str]:
    """The texts of all options.

    :raises ConfigurationError: for one that has no value, or is said twice: one of the two would be read by nobody.
    """
    options: dict[str, str] = {}
    for name, text in parse_qsl(parts.query, keep_blank_values=True):
        if name in options:
            raise ConfigurationError(reason=f"The URL says {_shown(name)} twice: leave one.")
        if not text:
            raise ConfigurationError(reason=f"The URL has an option without a value: {_shown(name)}.")
        options[name] = text
    return options


def read_options(parts: SplitResult, options: Mapping[str, Read], elsewhere: Collection[str], server: str) -> dict[str, Any]:
    """The values of those of the `options` that the query names.

    :param elsewhere: what the query may name too, as it is read by others.
    :param server: its name, for the texts of errors.
    :raises ConfigurationError: for an option that nobody would read, or a value that will not do.
    """
    query = query_of(parts)
    refuse_unknown(query, {*options, *elsewhere}, f"The {server} URL")
    return {name: options[name](name, text) for name, text in query.items() if name in options}


def host_and_port(text: str, default_port: int, server: str, forms: str) -> tuple[str, int]:
    """An address as it stands in a URL, `host`, `host:port`, `[::1]:port` or nothing, which is localhost.

    :raises ConfigurationError: for another one; no part of it is repeated.
    """
    host, port = text, ""
    if text.startswith("["):
        host, _, rest = text[1:].partition("]")
        port = rest.removeprefix(":")
    elif ":" in text:
        host, _, port = text.rpartition(":")
    if port and not (port.isascii() and port.isdigit() and 0 < int(port) < 65536):
        raise ConfigurationError(reason=f"The port in the {server} URL is not a number below 65536. Write {forms}.")
    host = unquote(host) or "localhost"
    if _NO_HOST.search(host):
        raise ConfigurationError(reason=f"The {server} URL names no host. Write {forms}.")
    return host, int(port or default_port)


def refuse_unknown(options: Mapping[str, object], known: Collection[str], what: str) -> None:
    """Refuse options that nobody would read. `what` begins the text of the error, as in "The Redis URL".

    :raises ConfigurationError: naming those that are not in `known`, and all that are.
    """
    unknown = sorted(set(options) - set(known))
    if unknown:
        names = ", ".join(sorted(known)) or "none"
        raise ConfigurationError(reason=f"{what} has unknown options: {_shown(', '.join(unknown))}. Known are: {names}.")


def positive_seconds(name: str, value: object) -> float:
    """The value of an option as a positive, finite number of seconds, also of a text.

    :raises ConfigurationError: for anything else, naming the option.
    """
    text = str(value)
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < float("inf"):
        raise ConfigurationError(reason=f"{name} is a positive number of seconds, not {_shown(repr(value))}.")
    return seconds


def flag(name: str, text: str) -> bool:
    """The value of an option that is on or off.

    :raises ConfigurationError: for a text that is neither, naming the option.
    """
    if text.lower() in {"true", "1", "yes"}:
        return True
    if text.lower() in {"false", "0", "no"}:
        return False
    raise ConfigurationError(reason=f"{name} is true or false, not {_shown(repr(text))}.")


def _shown(text: str) -> str:
    # A `?` in a password that is not quoted makes options of its rest and of the @ and the host behind it.
    return "..." if "@" in text else text
