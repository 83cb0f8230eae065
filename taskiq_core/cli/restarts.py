"""When a dead worker process is started again."""

from typing import Final

HEALTHY: Final = 5.0
"""A process that lived so many seconds is no part of a series of quick deaths."""
LONGEST: Final = 8.0


def restart_delay(quick_deaths: int) -> float:
    """Seconds to wait after so many deaths in a row, each within `HEALTHY` seconds: none for the first, at most `LONGEST`."""
    if quick_deaths <= 1:
        return 0.0
    return min(LONGEST, 0.5 * 2.0 ** min(quick_deaths - 2, 10))
