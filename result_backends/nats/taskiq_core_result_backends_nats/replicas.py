"""On how many servers of a cluster something is kept."""

from taskiq_core.exceptions import ConfigurationError


def copies(value: object) -> int:
    """`value`, which may come from a URL.

    :raises ConfigurationError: if it is not 1 to 5.
    """
    text = str(value)
    if not text.isdecimal() or not 1 <= int(text) <= 5:
        raise ConfigurationError(reason=f"replicas: NATS keeps 1 to 5 copies, not {value!r}.")
    return int(text)
