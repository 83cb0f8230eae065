"""`on_success` and `on_failure`: who is sent, with what, and when nobody is."""

from collections.abc import Sequence
from typing import Any

import pytest

from taskiq_core import (
    BrokerMessage,
    Context,
    InMemoryBroker,
    NoResultError,
    Retry,
    TaskFailed,
    TaskiqDepends,
    TaskiqMessage,
    TaskiqMiddleware,
)
from taskiq_core.exceptions import ConfigurationError

pytestmark = pytest.mark.anyio

Told = list[dict[str, Any]]


class Scene:
    """A broker with two callbacks that write down what they are told."""

    def __init__(self, broker: InMemoryBroker | None = None) -> None:
        self.broker = broker or InMemoryBroker()
        self.told: Told = []

        @self.broker.task("cheer")
        async def cheer(task_id: str, result: Any, ctx: Context = TaskiqDepends()) -> None:
            self.told.append({"task_id": task_id, "result": result, "message": ctx.message})

        @self.broker.task("alert")
        async def alert(task_id: str, exception: str, traceback: str, ctx: Context = TaskiqDepends()) -> None:
            self.told.append({"task_id": task_id, "exception": exception, "traceback": traceback, "message": ctx.message})

        self.cheer, self.alert = cheer, alert


async def test_each_end_has_its_callback_with_data_about_it() -> None:
    scene = Scene()

    @scene.broker.task(on_success=scene.cheer, on_failure="alert")
    async def divide(a: int, b: int) -> float:
        return a / b

    async with scene.broker:
        good, bad = await divide.kiq(6, 3), await divide.kiq(1, 0)
        await scene.broker.wait_all()
    success, failure = sorted(scene.told, key=lambda told: told["task_id"] == bad.task_id)
    assert (success["task_id"], success["result"]) == (good.task_id, 2.0)
    assert success["message"].task_id == f"{good.task_id}:succeeded"
    assert failure["exception"] == "ZeroDivisionError: division by zero"
    assert "return a / b" in failure["traceback"]
    assert "worker" not in failure["traceback"]
    assert failure["message"].task_id == f"{bad.task_id}:failed"
    assert failure["message"].labels["_parent_id"] == bad.task_id


async def test_only_the_last_run_of_a_task_has_a_callback() -> None:
    scene = Scene()

    @scene.broker.task(on_failure=scene.alert, retry=Retry(2))
    async def fail(ctx: Context = TaskiqDepends()) -> None:
        raise ValueError(f"in run {ctx.attempt}")

    async with scene.broker:
        await fail.kiq()
        await scene.broker.wait_all()
    assert [told["exception"] for told in scene.told] == ["ValueError: in run 3"]


@pytest.mark.parametrize("ack_type", ["when_received", "when_executed", "when_saved"])
async def test_a_callback_does_not_depend_on_when_its_task_is_acknowledged(ack_type: str) -> None:
    scene = Scene()

    @scene.broker.task(on_success=scene.cheer, ack_type=ack_type)
    async def double(number: int) -> int:
        return number * 2

    async with scene.broker:
        assert await (await double.kiq(4)) == 8
        await scene.broker.wait_all()
    assert [told["result"] for told in scene.told] == [8]


async def test_every_way_to_fail_for_good_has_one_and_expiry_has_none() -> None:
    class Bouncer(TaskiqMiddleware):
        def pre_execute(self, message: TaskiqMessage) -> TaskiqMessage:
            if message.args == ["hook"]:
                raise PermissionError("not you")
            return message

    scene = Scene(InMemoryBroker().with_middlewares(Bouncer()))

    @scene.broker.task(on_failure=scene.alert, on_success=scene.cheer, dead_letter=True)
    async def end(how: str, ctx: Context = TaskiqDepends()) -> None:
        if how == "reject":
            ctx.reject("spam")
        if how == "no result":
            raise NoResultError
        raise TaskFailed("why not")

    async with scene.broker:
        for how in ("hook", "reject", "no result", "fail"):
            await end.kiq(how)
        await scene.broker.kicker(end.task_name).kiq("wrong", "arguments")
        await end.kicker().with_expires(0).kiq("late")
        await scene.broker.wait_all()
    assert {told.get("exception", "none").partition(":")[0] for told in scene.told} == {
        "PermissionError", "TaskRejectedError", "TaskFailed", "ArgumentError", "none",
    }  # fmt: skip
    assert [told["result"] for told in scene.told if "result" in told] == [None]
    assert len(scene.told) == 5


async def test_a_callback_gets_of_the_facts_those_that_it_takes() -> None:
    broker = InMemoryBroker()
    seen: list[Any] = []

    @broker.task
    async def short(exception: str) -> None:
        seen.append(exception)

    @broker.task
    def everything(**facts: Any) -> None:
        seen.append(sorted(facts))

    @broker.task(on_failure=short, on_success=everything)
    async def act(fails: bool) -> None:
        if fails:
            raise OSError("no")

    async with broker:
        await act.kiq(True)
        await act.kiq(False)
        await broker.wait_all()
    assert sorted(seen, key=str) == ["OSError: no", ["result", "task_id"]]


async def test_labels_of_the_call_travel_on_and_those_of_its_task_do_not() -> None:
    scene = Scene()

    @scene.broker.task(on_success=scene.cheer, team="billing", priority=9)
    async def act() -> None: ...

    async with scene.broker:
        sent = await act.kicker().with_labels(traceparent="00-abc-def-01").with_timeout(5).kiq()
        await scene.broker.wait_all()
    assert scene.told[0]["message"].labels == {"traceparent": "00-abc-def-01", "_parent_id": sent.task_id}


async def test_a_call_can_have_callbacks_of_its_own() -> None:
    scene = Scene()

    @scene.broker.task
    async def act(fails: bool) -> str:
        if fails:
            raise ValueError("no")
        return "yes"

    async with scene.broker:
        await act.kiq(True)
        await act.kicker().with_on_success(scene.cheer).kiq(False)
        await act.kicker().with_on_failure("alert").kiq(True)
        await scene.broker.wait_all()
    assert sorted(told.get("result") or told["exception"] for told in scene.told) == ["ValueError: no", "yes"]
    with pytest.raises(ValueError, match="its own callback"):
        act.kicker().with_on_failure(act)


async def test_what_cannot_be_stored_has_failed() -> None:
    scene = Scene()

    @scene.broker.task(on_success=scene.cheer, on_failure=scene.alert)
    async def act() -> object:
        return object()

    async with scene.broker:
        await act.kiq()
        await scene.broker.wait_all()
    assert [told["exception"].partition(":")[0] for told in scene.told] == ["ResultNotSerializableError"]


async def test_a_callback_that_cannot_be_sent_keeps_its_task_until_it_can() -> None:
    class Broker(InMemoryBroker):
        refusals = 2

        async def kick_many(self, messages: Sequence[BrokerMessage]) -> None:
            if messages[0].task_name == "cheer" and self.refusals:
                self.refusals -= 1
                raise ConnectionError("away")
            await super().kick_many(messages)

    scene = Scene(Broker())

    @scene.broker.task(on_success=scene.cheer)
    async def act() -> str:
        return "done"

    async with scene.broker:
        assert await (await act.kiq()) == "done"
        await scene.broker.wait_all()
    assert [told["result"] for told in scene.told] == ["done"]


async def test_a_callback_that_can_never_be_sent_is_given_up(caplog: pytest.LogCaptureFixture) -> None:
    broker = InMemoryBroker()
    broker.max_message_size = 1000

    @broker.task
    async def cheer(result: str) -> None: ...

    @broker.task(on_success=cheer)
    async def act() -> str:
        return "x" * 2000

    async with broker:
        assert len(await (await act.kiq())) == 2000
        await broker.wait_all()
    assert "is given up, it cannot be sent: MessageTooLargeError" in caplog.text


async def test_who_waits_in_place_does_not_wait_for_callbacks_for_ever() -> None:
    scene = Scene(InMemoryBroker(await_inplace=True))

    @scene.broker.task(on_success=scene.cheer)
    async def act() -> str:
        return "done"

    async with scene.broker:
        await act.kiq()
        await scene.broker.wait_all()
    assert len(scene.told) == 1


def test_a_task_that_is_its_own_callback_is_refused() -> None:
    broker = InMemoryBroker()
    with pytest.raises(ConfigurationError, match="its own callback"):

        @broker.task("again", on_failure="again")
        async def again() -> None: ...


async def test_callbacks_in_a_circle_are_refused_at_the_start() -> None:
    broker = InMemoryBroker()

    @broker.task("first", on_failure="second")
    async def first(exception: str) -> None: ...

    @broker.task("second", on_failure="first")
    async def second(exception: str) -> None: ...

    with pytest.raises(ConfigurationError, match="round in a circle"):
        await broker.startup()


async def test_a_callback_that_wants_more_than_it_gets_is_refused_at_the_start() -> None:
    broker = InMemoryBroker()

    @broker.task("greedy")
    async def greedy(task_id: str, mood: str) -> None: ...

    @broker.task(on_success=greedy)
    async def act() -> None: ...

    with pytest.raises(ConfigurationError, match="needs 'mood'"):
        await broker.startup()
