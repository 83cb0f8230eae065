"""`python -m benchmarks.redis_profile`: where the time of a no-op task goes when a backlog is drained, in worker and server.

The server says itself what its commands take. What the worker does is sampled by py-spy, which has to be installed; the run
that is sampled is another one than that which is timed.
"""

import os
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path

import anyio

from benchmarks.redis_raw import REDIS
from benchmarks.sending import fill
from benchmarks.workers import APP, URL, Arena

_COUNT = 100_000
_LOOP = "uvloop"
_PARTS = {
    "taskiq_core_brokers_redis/": "Redis plugins",
    "taskiq_core_result_backends_redis/": "Redis plugins",
    "taskiq_core/": "core",
    "asyncio/": "event loop and socket",
    "anyio/": "anyio",
    "pydantic/": "pydantic",
    "msgpack/": "msgpack",
    "benchmarks/": "the stopwatch and the task itself",
}
"""What a frame's file shows first → to whom its time goes."""
_WORK = ("Receiver.", "CompletionQueue.", "Reader.", "Link.", "Runner.run")
"""Frames that the work goes through, which leaves out the start of the process."""


def main() -> None:
    """Print both tables."""
    with REDIS.arena() as place:
        anyio.run(fill, place, _COUNT)
        before, used = place.server.times(), place.server.cpu()
        drained = place.drain(_LOOP)
        used, after = place.server.cpu() - used, place.server.times()
    print(f"{_COUNT / drained.time.wall:,.0f} tasks/s, worker {drained.time.cpu / _COUNT * 1e6:.1f} us of CPU a task")
    print(f"\nserver: {used / _COUNT * 1e6:.1f} us of CPU a task")
    _print(
        {name: (after[name] - before.get(name, 0)) / _COUNT for name in after},
        "us by its own clock, scripts with what they call",
    )
    spy = shutil.which("py-spy") or shutil.which("py-spy", path=str(Path(sys.executable).parent))
    if spy is None:
        print("\npy-spy is not installed, so the worker is not profiled.")
        return
    with REDIS.arena() as place:
        anyio.run(fill, place, _COUNT)
        stacks = _sample(spy, place)
    print("\nworker")
    total = sum(stacks.values()) / 100
    _print({part: share / total for part, share in _by(stacks, _part).items()}, "% of its time")
    print()
    _print({name: share / total for name, share in _by(stacks, lambda frame: frame).items()}, "% in this function itself")


def _sample(spy: str, place: Arena) -> Mapping[str, int]:
    samples = place.folder / "samples"
    command = [
        spy,
        "record",
        "--subprocesses",
        "--rate",
        "500",
        "--format",
        "raw",
        "--function",
        "--output",
        str(samples),
        "--",
    ]
    worker = [sys.executable, "-m", "taskiq_core", "worker", APP, "--log-level", "warning", "--burst", "--loop", _LOOP]
    environment = {**os.environ, URL: place.url}
    subprocess.run([*command, *worker], check=True, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    lines = (line.rpartition(" ") for line in samples.read_text().splitlines())
    return {stack: int(count) for stack, _, count in lines if any(frame in stack for frame in _WORK)}


def _by(stacks: Mapping[str, int], key: Callable[[str], str]) -> Counter[str]:
    shares: Counter[str] = Counter()
    for stack, count in stacks.items():
        shares[key(stack.rpartition(";")[2])] += count
    return shares


def _part(frame: str) -> str:
    return next((part for start, part in _PARTS.items() if start in frame), "other")


def _print(values: Mapping[str, float], title: str) -> None:
    print(f"  {title}:")
    for name, value in sorted(values.items(), key=lambda item: -item[1])[:16]:
        if value >= 0.05:
            print(f"  {value:6.1f}  {name}")


if __name__ == "__main__":
    main()
