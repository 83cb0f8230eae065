"""What a worker process tells its supervisor by its exit code."""

import signal
from typing import Final

STOPPED: Final = 0
"""Ended as it was told to; in burst mode: nothing is left to do."""
CRASHED: Final = 1
WRONG_CONFIGURATION: Final = 2
"""Starting again would end the same way."""
INCOMPLETE: Final = 3
"""`taskiq migrate` was stopped, or messages stay that the other broker refuses; `taskiq db status` found other versions."""
RECYCLE: Final = 75
"""Has run its number of tasks: replace me at once."""


def describe_exit(code: int) -> str:
    """An exit code, or minus the number of the signal that ended the process, in words."""
    if code == RECYCLE:
        return "it has run as many tasks as it was to"
    if code >= 0:
        return f"exit code {code}"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        return f"killed by signal {-code}"
    return f"killed by {name}" + (" (out of memory?)" if name == "SIGKILL" else "")
