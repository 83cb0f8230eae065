"""Unique tasks for the crash tests, and senders in processes of their own: `taskiq worker crash_unique:broker`."""

import os
import signal
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

import anyio
from crash_app import ARENA, broker, nap, note

from taskiq_core import BrokerMessage, Context, Debounce, Retry, TaskiqDepends, Unique, call
from taskiq_core.kicker import AsyncKicker

__all__ = ["broker"]


@broker.task("single", unique=Unique(key="{key}", ttl=120))
async def single(key: str, seconds: float = 0.0) -> str:
    return await nap.original_func(key, seconds)


@broker.task("short_claim", unique=Unique(key="{key}", ttl=12))
async def short_claim(key: str) -> str:
    return await nap.original_func(key, 0)


@broker.task("stubborn", unique=Unique(key="{key}", ttl=120), retry=Retry(1, delay=1))
async def stubborn(key: str, ctx: Context = TaskiqDepends()) -> str:
    """Fails in its first run, and is killed in its second."""
    note("start", f"{key}-{ctx.attempt}")
    if ctx.attempt == 1:
        raise ValueError(key)
    while not (ARENA / "let-go").exists():
        await anyio.sleep(0.02)
    note("end", key)
    return key


@broker.task("debounced", debounce=Debounce(3, key="{key}"))
async def debounced(key: str, text: str) -> str:
    return await nap.original_func(f"{key} {text}", 0)


@broker.task("plain")
async def plain(key: str) -> str:
    return await nap.original_func(key, 0)


def kicker(kind: str) -> AsyncKicker[..., Any]:
    """What a sender of that kind sends with."""
    if kind == "idempotent":
        return plain.kicker().with_idempotency_key("race")
    return {"single": single, "debounced": debounced}[kind].kicker()


async def race(kind: str, senders: int, *args: str) -> None:
    """Send as often at once, when the file `go` is there, and print what became of each."""
    async with broker:
        print("ready", flush=True)
        while not Path(ARENA / "go").exists():
            await anyio.sleep(0.002)
        async with anyio.create_task_group() as group:
            for _ in range(senders):
                group.start_soon(_send, kind, args)
    print("done", flush=True)


async def _send(kind: str, args: Sequence[str]) -> None:
    handle = await kicker(kind).kiq(*args)
    print(handle.outcome, handle.task_id, flush=True)


async def die_before_the_kick() -> None:
    """Claim, and be killed before the broker is asked."""

    async def killed(messages: Sequence[BrokerMessage]) -> NoReturn:
        os.kill(os.getpid(), signal.SIGKILL)
        raise AssertionError

    async with broker:
        broker.kick_many = killed  # type: ignore[method-assign]
        await short_claim.kiq_many([call("lost"), call("other")])
