"""Times as people write them."""

import re

from taskiq_core.exceptions import ConfigurationError
from taskiq_core.retry import seconds

UNITS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}


def parse_duration(text: str, option: str) -> float:
    """Seconds of `90`, `90s`, `15m`, `12h` or `7d`.

    :raises ConfigurationError: for anything else.
    """
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([smhd]?)", text.strip())
    if found is None:
        raise ConfigurationError(reason=f"{option} {text!r} is no time. Write a number and a unit: 90s, 15m, 12h, 7d.")
    try:
        return seconds(float(found[1]) * UNITS[found[2]])
    except ValueError as error:
        raise ConfigurationError(reason=f"{option} {text!r} is no time: {error}.") from error
