"""huey on SQLite: no-op tasks, results stored. `python huey_sqlite.py THREADS` prints tasks and seconds as JSON.

With the durability that we are measured with, which it has no option for, and without its scheduler beside the workers.
"""

import json
import logging
import sys
import tempfile
import threading
import time

from huey import Huey
from huey.storage import SqliteStorage

COUNT = 5_000


class NormalStorage(SqliteStorage):
    """WAL and synchronous=NORMAL."""

    def _create_connection(self):
        conn = super()._create_connection()
        conn.execute("PRAGMA synchronous=NORMAL")
        return conn


logging.disable(logging.CRITICAL)
with tempfile.TemporaryDirectory() as folder:
    huey = Huey(storage_class=NormalStorage, filename=f"{folder}/huey.db", results=True, store_none=True, utc=True)
    moments: list[float] = []
    done = threading.Event()

    @huey.task()
    def noop() -> None:
        moments.append(time.perf_counter())
        if len(moments) == COUNT:
            done.set()

    for _ in range(COUNT):
        noop()
    consumer = huey.create_consumer(workers=int(sys.argv[1]), periodic=False, initial_delay=0.001, max_delay=0.01)
    consumer.start()
    done.wait(120)
    while huey.storage.result_store_size() < COUNT:
        time.sleep(0.001)
    seconds = time.perf_counter() - moments[0]
    consumer.stop(graceful=True)
    print(json.dumps({"tasks": COUNT, "seconds": seconds}))
