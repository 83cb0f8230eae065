"""What is asked of every peer on a server. `python STORE_NAME.py SERVER send` measures it and prints its figures as JSON.

With `work` instead of `send` it measures what a worker does, on a server on which nothing has been sent. Runs in the peer's
environment, so it needs nothing but the standard library. The worker is a process of its own, started here as
`python STORE_NAME.py SERVER worker`, and tells when its first task and when its last task ran.
"""

import asyncio
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).parents[2]))
from benchmarks.server import Server

SLOTS = 100
TTL = 3600
"""Seconds that results are kept."""
_COUNT, _REPORT = "PEER_COUNT", "PEER_REPORT"
_DEADLINE = 60.0
_WIDTH = 1000

_ran = 0
_first = (0.0, 0.0)
_last = int(os.environ.get(_COUNT, "0"))


def tick() -> None:
    """Called by every task: counts, and reports wall and CPU time between the first task and the last."""
    global _ran, _first
    _ran += 1
    if _ran == 1:
        _first = (time.perf_counter(), time.process_time())
    elif _ran == _last:
        report = Path(os.environ[_REPORT])
        report.with_suffix(".new").write_text(json.dumps([time.perf_counter() - _first[0], time.process_time() - _first[1]]))
        report.with_suffix(".new").rename(report)


class Peer(ABC):
    """One framework, set as fast as it goes with one worker process."""

    drains = 4_000
    """How many tasks it drains; slow peers get fewer."""
    trips = 200
    concurrent = True
    """Whether one process can have many sends under way."""
    answers = True
    """Whether there are results to wait for."""

    def server(self) -> Server:
        """What is measured."""
        return Server.named(sys.argv[1])

    @abstractmethod
    async def stored(self) -> int:
        """How many results, or finished tasks, the server keeps."""

    @abstractmethod
    def work(self) -> None:
        """Be the worker until a signal comes."""

    @abstractmethod
    async def send(self) -> Any:
        """Send one no-op task; returns what `value` wants."""

    async def value(self, handle: Any) -> None:
        """Wait for its value in the quickest way there is."""
        raise NotImplementedError

    async def open(self) -> None:
        """Connect."""

    async def close(self) -> None:
        """Disconnect."""

    async def send_many(self, count: int) -> Sequence[Any]:
        """Send in the quickest way there is: here 100 sends under way at a time."""
        handles: list[Any] = []

        async def some(share: int) -> None:
            for _ in range(share):
                handles.append(await self.send())

        senders = SLOTS if self.concurrent else 1
        await asyncio.gather(*(some(count // senders + (i < count % senders)) for i in range(senders)))
        return handles

    async def values(self, handles: Sequence[Any]) -> None:
        """Wait for many."""
        await asyncio.gather(*map(self.value, handles))


def run(peer: Peer, runner: Callable[[Awaitable[Any]], Any] = asyncio.run) -> None:
    """What a script ends with."""
    part = sys.argv[2]
    if part == "worker":
        peer.work()
        return
    with tempfile.TemporaryDirectory() as folder:
        print(json.dumps(runner(_sending(peer) if part == "send" else _working(peer, Path(folder)))))


async def _working(peer: Peer, folder: Path) -> dict[str, float]:
    await peer.open()
    begin = time.perf_counter()
    await peer.send_many(peer.drains)
    figures = {"send_in_bulk": peer.drains / (time.perf_counter() - begin)}
    server = peer.server()
    report, before = folder / "report.json", server.cpu()
    with (folder / "worker.log").open("w+") as log:
        variables = {**os.environ, _COUNT: str(peer.drains), _REPORT: str(report)}
        worker = subprocess.Popen([sys.executable, *sys.argv[:2], "worker"], env=variables, stdout=log, stderr=log)
        try:
            wall, cpu = await _report(report, worker)
            await asyncio.sleep(0.2)  # the results of the last tasks
            figures |= {"drain": peer.drains / wall, "drain_cpu": cpu / peer.drains * 1e6}
            figures["drain_server_cpu"] = (server.cpu() - before) / peer.drains * 1e6
            figures["stored"] = await peer.stored()
            figures |= await _waiting(peer) if peer.answers else {}
        except BaseException:
            sys.stderr.write(Path(log.name).read_text()[-3000:])
            raise
        finally:
            _end(worker)
    await peer.close()
    return figures


async def _sending(peer: Peer) -> dict[str, float]:
    figures: dict[str, float] = {}
    await peer.open()
    await peer.send()
    begin = time.perf_counter()
    for _ in range(1000):
        await peer.send()
    figures["send_singly"] = 1000 / (time.perf_counter() - begin)
    if peer.concurrent:
        begin = time.perf_counter()
        await Peer.send_many(peer, 3000)
        figures["send_concurrently"] = 3000 / (time.perf_counter() - begin)
    await peer.close()
    return figures


async def _waiting(peer: Peer) -> dict[str, float]:
    trips: list[float] = []
    for _ in range(peer.trips + 10):
        begin = time.perf_counter()
        await peer.value(await peer.send())
        trips.append((time.perf_counter() - begin) * 1e3)
    fans: list[float] = []
    for _ in range(3):
        begin = time.perf_counter()
        await peer.values(await peer.send_many(_WIDTH))
        fans.append((time.perf_counter() - begin) * 1e3)
    ordered = sorted(trips[10:])
    p99 = ordered[round(0.99 * len(ordered)) - 1]
    return {"round_trip_p50": statistics.median(ordered), "round_trip_p99": p99, "fan_out_in": statistics.median(fans)}


async def _report(report: Path, worker: "subprocess.Popen[bytes]") -> tuple[float, float]:
    deadline = time.monotonic() + _DEADLINE
    while not report.exists():
        if worker.poll() is not None or time.monotonic() > deadline:
            raise TimeoutError("the worker did not do its tasks")
        await asyncio.sleep(0.05)
    wall, cpu = json.loads(report.read_text())
    return wall, cpu


def _end(worker: "subprocess.Popen[bytes]") -> None:
    worker.send_signal(signal.SIGTERM)
    with suppress(subprocess.TimeoutExpired):
        worker.wait(3)
    worker.kill()
    worker.wait()
