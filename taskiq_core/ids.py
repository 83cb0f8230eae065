"""Task ids."""

import os
import time


def new_task_id() -> str:
    """32 hex digits: 48 bits of milliseconds since the epoch, then 80 random bits.

    Ids made later sort later, so stores append to their indexes instead of scattering over them.
    """
    return f"{time.time_ns() // 1_000_000:012x}{os.urandom(10).hex()}"
