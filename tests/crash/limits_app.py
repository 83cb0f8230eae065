"""Tasks with limits, beside those of `crash_app`: `taskiq worker limits_app:broker`."""

import anyio
from crash_app import ARENA, broker, kill_myself, nap, note, sync_nap

from taskiq_core import Concurrency, Rate

__all__ = ["broker"]


@broker.task("few", limits=Concurrency(10))
async def few(key: str, seconds: float) -> str:
    return await nap.original_func(key, seconds)


@broker.task("few_of_a_kind", limits=[Concurrency(2, key="{kind}"), Concurrency(3, name="together")])
async def few_of_a_kind(key: str, seconds: float, kind: str) -> str:
    return await nap.original_func(key, seconds)


@broker.task("few_aside", limits=Concurrency(3, name="together"), executor="process")
def few_aside(key: str, seconds: float) -> str:
    return sync_nap.original_func(key, seconds)


@broker.task("paced", limits=Rate(30, per=1.0))
async def paced(key: str) -> str:
    note("start", key)
    await anyio.sleep(0)
    note("end", key)
    return key


@broker.task("alone", limits=Concurrency(1))
async def alone(key: str, seconds: float) -> str:
    return await nap.original_func(key, seconds)


@broker.task("deadly_once", limits=Concurrency(2))
async def deadly_once(key: str) -> None:
    note("start", key)
    first_time = not (ARENA / key).exists()
    (ARENA / key).touch()
    if first_time:
        note("end", key)
        kill_myself()
    await anyio.sleep(0.05)
    note("end", key)
