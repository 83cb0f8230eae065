"""The middleware chain: what is called, in which order, and what an error in a hook does."""

import asyncio
import logging
from typing import Any

import anyio
import pytest

from taskiq_core.abc.middleware import TaskiqMiddleware
from taskiq_core.message import TaskiqMessage
from taskiq_core.middleware_chain import MiddlewareChain
from taskiq_core.result import TaskiqResult

pytestmark = pytest.mark.anyio

HOOKS = ("pre_send", "post_send", "pre_execute", "around_execute", "post_execute", "on_error", "post_save")
RESULT: TaskiqResult[Any] = TaskiqResult(is_err=False, return_value=1)


def message() -> TaskiqMessage:
    return TaskiqMessage("id", "name")


class Sync(TaskiqMiddleware):
    def __init__(self, name: str, calls: list[str]) -> None:
        self.name, self.calls = name, calls

    def note(self, hook: str) -> None:
        self.calls.append(f"{hook} {self.name}")

    def startup(self) -> None:
        self.note("startup")

    def shutdown(self) -> None:
        self.note("shutdown")

    def pre_send(self, message: TaskiqMessage) -> TaskiqMessage:
        self.note("pre_send")
        return message.model_copy(update={"labels": {**message.labels, self.name: "sent"}})

    def post_send(self, message: TaskiqMessage) -> None:
        self.note("post_send")

    def pre_execute(self, message: TaskiqMessage) -> TaskiqMessage:
        self.note("pre_execute")
        return message

    async def around_execute(self, call_next: Any, message: TaskiqMessage) -> Any:
        self.note("enter")
        try:
            return [self.name, await call_next(message)]
        finally:
            self.note("leave")

    def post_execute(self, message: TaskiqMessage, result: TaskiqResult[Any]) -> None:
        self.note("post_execute")

    def on_error(self, message: TaskiqMessage, result: TaskiqResult[Any], exception: BaseException) -> None:
        self.note("on_error")

    def post_save(self, message: TaskiqMessage, result: TaskiqResult[Any]) -> None:
        self.note("post_save")


class Async(Sync):
    async def startup(self) -> None:  # type: ignore[override]
        super().startup()

    async def shutdown(self) -> None:  # type: ignore[override]
        super().shutdown()

    async def pre_send(self, message: TaskiqMessage) -> TaskiqMessage:  # type: ignore[override]
        return super().pre_send(message)

    async def post_send(self, message: TaskiqMessage) -> None:  # type: ignore[override]
        super().post_send(message)

    async def pre_execute(self, message: TaskiqMessage) -> TaskiqMessage:  # type: ignore[override]
        return super().pre_execute(message)

    async def post_execute(self, message: TaskiqMessage, result: TaskiqResult[Any]) -> None:  # type: ignore[override]
        super().post_execute(message, result)

    async def on_error(self, message: TaskiqMessage, result: TaskiqResult[Any], exception: BaseException) -> None:  # type: ignore[override]
        super().on_error(message, result, exception)

    async def post_save(self, message: TaskiqMessage, result: TaskiqResult[Any]) -> None:  # type: ignore[override]
        super().post_save(message, result)


async def test_hooks_that_nobody_overrides_are_none() -> None:
    class Idle(TaskiqMiddleware):
        pass

    for chain in (MiddlewareChain(), MiddlewareChain([Idle()])):
        assert [getattr(chain, hook) for hook in HOOKS] == [None] * len(HOOKS)


async def test_only_the_overridden_hook_is_there() -> None:
    class One(TaskiqMiddleware):
        def post_save(self, message: TaskiqMessage, result: TaskiqResult[Any]) -> None: ...

    class Heir(One):
        pass

    chain = MiddlewareChain([Heir()])
    assert [hook for hook in HOOKS if getattr(chain, hook)] == ["post_save"]


async def test_an_instance_attribute_counts_as_an_override() -> None:
    middleware = TaskiqMiddleware()
    seen: list[str] = []
    middleware.post_send = lambda message: seen.append(message.task_id)  # type: ignore[method-assign, return-value]
    chain = MiddlewareChain([middleware])
    assert chain.post_send is not None
    await chain.post_send(message())
    assert seen == ["id"]


@pytest.mark.parametrize("kinds", [(Sync, Sync), (Async, Async), (Sync, Async)])
async def test_order(kinds: tuple[type[Sync], type[Sync]]) -> None:
    calls: list[str] = []
    chain = MiddlewareChain([kinds[0]("a", calls), kinds[1]("b", calls)])
    assert chain.pre_send and chain.post_send and chain.pre_execute and chain.around_execute
    assert chain.post_execute and chain.on_error and chain.post_save
    await chain.startup()
    sent = await chain.pre_send(message())
    assert list(sent.labels) == ["a", "b"]
    await chain.post_send(sent)
    await chain.pre_execute(sent)

    async def call(received: TaskiqMessage) -> str:
        assert received is sent
        calls.append("call")
        return "value"

    assert await chain.around_execute(call, sent) == ["a", ["b", "value"]]
    await chain.on_error(sent, RESULT, ValueError())
    await chain.post_execute(sent, RESULT)
    await chain.post_save(sent, RESULT)
    await chain.shutdown()
    assert calls == [
        *("startup a", "startup b", "pre_send a", "pre_send b", "post_send b", "post_send a"),
        *("pre_execute a", "pre_execute b", "enter a", "enter b", "call", "leave b", "leave a"),
        *("on_error b", "on_error a", "post_execute b", "post_execute a", "post_save b", "post_save a"),
        *("shutdown b", "shutdown a"),
    ]


@pytest.mark.parametrize("hook", ["pre_send", "pre_execute", "around_execute"])
async def test_errors_before_the_end_of_the_run_come_through(hook: str) -> None:
    middleware = TaskiqMiddleware()

    async def refuse(*_: Any) -> Any:
        raise PermissionError(hook)

    setattr(middleware, hook, refuse)
    chain = MiddlewareChain([middleware])
    with pytest.raises(PermissionError, match=hook):
        await getattr(chain, hook)(*([None] if hook == "around_execute" else []), message())


@pytest.mark.parametrize("hook", ["post_send", "post_execute", "on_error", "post_save"])
async def test_errors_after_the_run_are_logged_and_the_others_still_called(hook: str, caplog: pytest.LogCaptureFixture) -> None:
    calls: list[str] = []
    broken = TaskiqMiddleware()

    def fail(*_: Any) -> None:
        raise OSError("disk full")

    setattr(broken, hook, fail)
    facts = {"post_send": [], "on_error": [RESULT, ValueError()]}.get(hook, [RESULT])
    chain = MiddlewareChain([Sync("a", calls), broken, Async("b", calls)])
    with caplog.at_level(logging.ERROR):
        await getattr(chain, hook)(message(), *facts)
    assert calls == [f"{hook} b", f"{hook} a"]
    assert "disk full" in caplog.text


async def test_ctrl_c_goes_through_hooks_after_the_run() -> None:
    middleware = TaskiqMiddleware()

    async def interrupted(*_: Any) -> None:
        raise KeyboardInterrupt

    middleware.post_execute = interrupted  # type: ignore[method-assign]
    chain = MiddlewareChain([middleware])
    assert chain.post_execute
    with pytest.raises(KeyboardInterrupt):
        await chain.post_execute(message(), RESULT)


async def test_a_cancellation_from_outside_goes_through_hooks_after_the_run() -> None:
    calls: list[str] = []
    middleware = TaskiqMiddleware()

    async def wait(*_: Any) -> None:
        scope.cancel()
        await anyio.sleep_forever()

    middleware.post_execute = wait  # type: ignore[method-assign]
    chain = MiddlewareChain([Sync("a", calls), middleware])
    assert chain.post_execute
    with anyio.CancelScope() as scope:
        await chain.post_execute(message(), RESULT)
    assert scope.cancelled_caught
    assert calls == []


async def test_a_plain_task_cancel_goes_through_hooks_after_the_run(anyio_backend_name: str) -> None:
    if anyio_backend_name != "asyncio":
        pytest.skip("only asyncio can cancel a task without a scope")
    middleware = TaskiqMiddleware()
    waiting = anyio.Event()

    async def wait(*_: Any) -> None:
        waiting.set()
        await anyio.sleep_forever()

    middleware.post_send = wait  # type: ignore[method-assign]
    chain = MiddlewareChain([middleware])
    assert chain.post_send
    task = asyncio.ensure_future(chain.post_send(message()))
    await waiting.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


@pytest.mark.parametrize("own", [asyncio.CancelledError, SystemExit, BaseException])
async def test_an_end_that_nobody_outside_asked_for_is_only_logged(
    own: type[BaseException], caplog: pytest.LogCaptureFixture
) -> None:
    calls: list[str] = []
    middleware = TaskiqMiddleware()

    async def fail(*_: Any) -> None:
        raise own

    middleware.post_save = middleware.shutdown = fail  # type: ignore[method-assign, assignment]
    chain = MiddlewareChain([Sync("a", calls), middleware])
    assert chain.post_save
    await chain.post_save(message(), RESULT)
    await chain.shutdown()
    assert calls == ["post_save a", "shutdown a"]
    assert caplog.text.count(f"{own.__name__}\n") == 2


async def test_a_hook_that_forgets_to_return_the_message_is_told_so() -> None:
    class Forgetful(TaskiqMiddleware):
        def pre_send(self, message: TaskiqMessage) -> TaskiqMessage:
            return None  # type: ignore[return-value]

    chain = MiddlewareChain([Forgetful()])
    assert chain.pre_send
    with pytest.raises(TypeError, match=r"Forgetful\.pre_send\(\) must return the message"):
        await chain.pre_send(message())


async def test_what_is_no_middleware_is_left_out_with_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    chain = MiddlewareChain([object(), Sync])  # type: ignore[list-item]
    assert chain.middlewares == ()
    assert caplog.text.count("left out") == 2


async def test_shutdown_reaches_all_though_one_fails(caplog: pytest.LogCaptureFixture) -> None:
    calls: list[str] = []
    broken = TaskiqMiddleware()
    broken.shutdown = lambda: 1 / 0  # type: ignore[method-assign, assignment, return-value]
    await MiddlewareChain([Sync("a", calls), broken, Sync("b", calls)]).shutdown()
    assert calls == ["shutdown b", "shutdown a"]
    assert "ZeroDivisionError" in caplog.text
