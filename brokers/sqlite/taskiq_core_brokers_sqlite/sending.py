"""Messages as rows."""

import time
from collections.abc import Sequence
from typing import Final

from taskiq_core.defaults import DEFAULT_PRIORITY, DEFAULT_QUEUE
from taskiq_core.message import BrokerMessage
from taskiq_core_brokers_sqlite.schema import DELAYED, READY

INSERT: Final = "INSERT INTO taskiq_messages (task_id, queue, priority, state, due, body)"
COLUMNS: Final = 6
CONFLICT: Final = "ON CONFLICT (task_id) DO NOTHING"

Row = tuple[str, str, int, int, float | None, bytes]


def rows_of(messages: Sequence[BrokerMessage]) -> list[Row]:
    """What `INSERT` takes."""
    now = time.time()
    return [
        (
            item.task_id,
            item.queue or DEFAULT_QUEUE,
            DEFAULT_PRIORITY if item.priority is None else item.priority,
            DELAYED if item.delay else READY,
            now + item.delay if item.delay else None,
            item.message,
        )
        for item in messages
    ]
