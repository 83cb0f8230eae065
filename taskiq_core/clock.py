"""What time it is, for all of the core: the machine's, unless a test puts another clock in its place."""

import time as machine
from collections.abc import Callable, Generator
from contextlib import contextmanager

time: Callable[[], float] = machine.time
"""Seconds since the epoch."""
monotonic: Callable[[], float] = machine.monotonic
"""Seconds that only grow."""

# Variables of the module and no object's methods: looking one up costs what `time.monotonic` costs, so that the seam is free.
# Hence ask as `clock.monotonic()` each time: a name imported from here would stay what it was.


@contextmanager
def replaced(wall: Callable[[], float], steady: Callable[[], float]) -> Generator[None]:
    """Within it, `time` is `wall` and `monotonic` is `steady`, for the whole process. The blocks may be nested."""
    global time, monotonic
    before = time, monotonic
    time, monotonic = wall, steady
    try:
        yield
    finally:
        time, monotonic = before
