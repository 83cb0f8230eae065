"""Options in the URL of a plugin: refused by name, read as seconds."""

from collections.abc import Collection, Mapping

from taskiq_core.exceptions import ConfigurationError


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
