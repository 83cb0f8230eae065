"""The URL of a plugin: taken apart without telling a password; options refused by name, read as seconds."""

from collections.abc import Collection, Mapping
from urllib.parse import SplitResult, urlsplit

from taskiq_core.exceptions import ConfigurationError

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


def _shown(text: str) -> str:
    # A `?` in a password that is not quoted makes options of its rest and of the @ and the host behind it.
    return "..." if "@" in text else text
