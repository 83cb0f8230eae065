"""Ids of tasks, consumers and processes."""

import os
import socket

from taskiq_core import clock
from taskiq_core.portable_text import is_portable

_LONGEST = 255


def new_task_id() -> str:
    """32 hex digits: 48 bits of milliseconds since the epoch, then 80 random bits.

    Ids made later sort later, so stores append to their indexes instead of scattering over them.
    """
    return (int(clock.time() * 1000).to_bytes(6) + os.urandom(10)).hex()


def new_consumer_id() -> str:
    """A name that no other consumer of any process has; people see by it which process it is in."""
    return f"{os.getpid()}-{os.urandom(6).hex()}"


def process_id() -> str:
    """This process among those of all machines, for people: host and number."""
    return f"{socket.gethostname()}:{os.getpid()}"


def check_task_id(task_id: object) -> str:
    """The id, if every store can hold it: a text of 1 to 255 characters.

    :raises ValueError: if it is anything else.
    """
    if not isinstance(task_id, str):
        msg = f"a task id is a text of 1 to {_LONGEST} characters, not {type(task_id).__name__}: send str() of it"
        raise ValueError(msg)  # noqa: TRY004 - one error for whatever is wrong with an id
    if not 0 < len(task_id) <= _LONGEST:
        msg = f"a task id is a text of 1 to {_LONGEST} characters, not of {len(task_id)}"
        raise ValueError(msg)
    if not is_portable(task_id):
        msg = f"a task id holds no NUL and no half characters, which not every store can keep: not {task_id!r}"
        raise ValueError(msg)
    return task_id
