"""taskiq with taskiq-nats as in nats_taskiq.py, but in batches of 100, and results are stored nowhere."""

import uvloop
from nats_harness import run
from nats_taskiq import Taskiq


class Bare(Taskiq):
    drains = 4_000
    backend = None
    answers = False

    async def stored(self) -> int:
        return 0


if __name__ == "__main__":
    run(Bare(), uvloop.run)
