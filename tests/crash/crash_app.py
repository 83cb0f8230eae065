"""What the workers of the crash tests run: `taskiq worker crash_app:broker`.

The environment says where and how: CRASH_ARENA is the directory with the ledger, CRASH_BROKER and CRASH_RESULTS are URLs (of
the same place: results and acknowledgements are one step). CRASH_AT is `point:n`: the first process that gets to that point for
the n-th time kills itself there, and leaves its pid in a file.
"""

import os
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

import anyio
import anyio.to_thread
from crash_routes import router

from taskiq_core import (
    AsyncBroker,
    Context,
    Subscription,
    TaskiqDepends,
    TaskiqMessage,
    TaskiqMiddleware,
    TaskiqResult,
    broker_from_url,
)

ARENA = Path(os.environ["CRASH_ARENA"])
POINT, _, NTH = os.environ.get("CRASH_AT", "").partition(":")

_ledger = os.open(ARENA / "ledger", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
_passed = 0


def note(event: str, key: str) -> None:
    os.write(_ledger, f"{time.time():.3f} {os.getpid()} {event} {key}\n".encode())


def kill_myself() -> NoReturn:
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError


def pass_point(point: str) -> None:
    global _passed
    if point != POINT:
        return
    _passed += 1
    if _passed < int(NTH):
        return
    try:
        marker = os.open(ARENA / "killed", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return
    os.write(marker, str(os.getpid()).encode())
    kill_myself()


class KillingHooks(TaskiqMiddleware):
    def pre_execute(self, message: TaskiqMessage) -> TaskiqMessage:
        pass_point("pre_execute")
        return message

    def post_execute(self, message: TaskiqMessage, result: TaskiqResult[Any]) -> None:
        pass_point("post_execute")

    def post_save(self, message: TaskiqMessage, result: TaskiqResult[Any]) -> None:
        pass_point("post_save")


def kill_between_stations(made: AsyncBroker) -> AsyncBroker:
    """Have each step of the broker and of the result backend pass its points."""
    subscribe, set_results = made.subscribe, made.result_backend.set_results

    def killing_subscribe(queues: Sequence[str], *, prefetch: int | None = None) -> Subscription:
        subscription = subscribe(queues, prefetch=prefetch)
        receive, settle = subscription.receive, subscription.settle

        async def killing_receive(limit: int) -> Any:
            received = await receive(limit)
            for _ in received:
                pass_point("received")
            return received

        async def killing_settle(settlements: Any) -> None:
            pass_point("before_settle")
            await settle(settlements)
            pass_point("after_settle")

        subscription.receive, subscription.settle = killing_receive, killing_settle
        return subscription

    async def killing_set_results(results: Any) -> None:
        pass_point("before_set_results")
        await set_results(results)
        pass_point("after_set_results")

    made.subscribe, made.result_backend.set_results = killing_subscribe, killing_set_results
    return made.with_middlewares(KillingHooks())


def make_broker() -> AsyncBroker:
    made = broker_from_url(os.environ["CRASH_BROKER"], results=os.environ["CRASH_RESULTS"])
    return kill_between_stations(made) if POINT else made


broker = make_broker()
broker.include_router(router)


# -- good tasks ---------------------------------------------------------------------------------------------------------------


@broker.task("quick")
async def quick(key: str) -> str:
    note("start", key)
    pass_point("function")
    await anyio.sleep(0.01)
    note("end", key)
    return key


@broker.task("noop")
async def noop() -> None:
    return None


@broker.task("nap")
async def nap(key: str, seconds: float) -> str:
    note("start", key)
    await anyio.sleep(seconds)
    note("end", key)
    return key


@broker.task("sync_nap")
def sync_nap(key: str, seconds: float) -> str:
    note("start", key)
    time.sleep(seconds)
    note("end", key)
    return key


@broker.task("hog")
async def hog(key: str, seconds: float) -> str:
    """Blocks the event loop, which an async task should not do."""
    return sync_nap.original_func(key, seconds)


@broker.task("aside", executor="process")
def aside(key: str, seconds: float) -> str:
    return sync_nap.original_func(key, seconds)


@broker.task("measure")
async def measure(key: str, size: bytes) -> int:
    note("end", key)
    return len(size)


@broker.task("twice")
async def twice(number: int) -> int:
    return 2 * number


# -- pills --------------------------------------------------------------------------------------------------------------------


@broker.task("pill")
async def pill(key: str, kind: str) -> None:
    note("start", key)
    await anyio.sleep(0.05)
    _die(kind)


@broker.task("sync_pill")
def sync_pill(key: str, kind: str) -> None:
    note("start", key)
    time.sleep(0.05)
    _die(kind)


def _die(kind: str) -> None:
    if kind == "exit":
        os._exit(7)
    kill_myself()


# -- tasks with bad endings ---------------------------------------------------------------------------------------------------


class PickyError(Exception):
    """Cannot be rebuilt from its `args`."""

    def __init__(self, *, code: int, reason: str) -> None:
        self.code = code
        super().__init__(f"{code}: {reason}")


class MuteError(Exception):
    """Cannot even be printed."""

    def __str__(self) -> str:
        raise MuteError


@broker.task("picky")
async def picky() -> None:
    raise PickyError(code=42, reason="no")


@broker.task("mute")
async def mute() -> None:
    raise MuteError


@broker.task("leave")
async def leave() -> None:
    sys.exit(3)


@broker.task("sync_leave")
def sync_leave() -> None:
    sys.exit(3)


@broker.task("interrupt")
async def interrupt() -> None:
    raise KeyboardInterrupt


@broker.task("sync_stop_iteration")
def sync_stop_iteration() -> None:
    raise StopIteration


@broker.task("recurse")
async def recurse() -> None:
    await recurse.original_func()


@broker.task("unstorable")
async def unstorable() -> object:
    return object()


@broker.task("undecodable_text")
async def undecodable_text() -> str:
    """What `os.listdir` makes of a file name that is not UTF-8."""
    raise FileNotFoundError(2, "No such file", b"caf\xe9".decode(errors="surrogateescape"))


@broker.task("reject_badly")
async def reject_badly(ctx: Context = TaskiqDepends()) -> None:
    ctx.reject(b"caf\xe9".decode(errors="surrogateescape"))


@broker.task("requeue")
async def requeue(ctx: Context = TaskiqDepends()) -> None:
    await ctx.requeue()


@broker.task("deep_chain")
async def deep_chain() -> None:
    def fail(depth: int) -> None:
        try:
            if depth:
                fail(depth - 1)
        except ValueError as error:
            raise ValueError(depth) from error
        raise ValueError(depth)

    fail(30)


@broker.task("stray_cancel")
async def stray_cancel() -> None:
    raise anyio.get_cancelled_exc_class()


# -- limits -------------------------------------------------------------------------------------------------------------------


@broker.task("limited_nap", timeout=0.3)
async def limited_nap(key: str) -> str:
    return await nap.original_func(key, 30)


@broker.task("limited_thread", timeout=0.3)
def limited_thread(key: str, seconds: float) -> str:
    return sync_nap.original_func(key, seconds)


@broker.task("limited_process", timeout=0.3, executor="process")
def limited_process(key: str) -> str:
    return sync_nap.original_func(key, 30)
