"""Dead letters as a product: listing, showing, retrying, editing and purging, alike on every broker."""

from collections.abc import AsyncGenerator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest

from taskiq_core import AsyncBroker, Context, InMemoryBroker, TaskiqDepends, broker_from_url
from taskiq_core.dead_letters import Choice
from taskiq_core.exceptions import ConfigurationError, MessageDecodeError, MessageTooLargeError
from taskiq_core.message import BrokerMessage
from taskiq_core.worker import Worker

pytestmark = pytest.mark.anyio

Make = Callable[[], AsyncBroker]


@pytest.fixture(params=["memory", "sqlite", "redis"])
def make_broker(request: pytest.FixtureRequest, tmp_path: Path, anyio_backend_name: str) -> Make:
    """Makes the broker of one kind; its tasks are run by `at_work`."""
    kind: str = request.param
    if kind == "redis":
        if anyio_backend_name == "trio":
            pytest.skip("asyncio only")
        url, prefix = request.getfixturevalue("redis_url"), request.getfixturevalue("redis_prefix")
        return lambda: broker_from_url(url, prefix=prefix)
    return InMemoryBroker if kind == "memory" else lambda: broker_from_url(f"sqlite:///{tmp_path / 'jobs.db'}")


@pytest.fixture
def broker(make_broker: Make) -> AsyncBroker:
    """With two tasks that die, one of them until it is given an even number."""
    broker = make_broker()

    @broker.task("halve", dead_letter=True)
    async def halve(number: int) -> int:  # pyright: ignore[reportUnusedFunction]
        if number % 2:
            msg = f"{number} is odd"
            raise ValueError(msg)
        return number // 2

    @broker.task("refuse", queue="strict")
    async def refuse(why: str, ctx: Context = TaskiqDepends()) -> None:  # pyright: ignore[reportUnusedFunction]
        ctx.reject(why)

    return broker


@asynccontextmanager
async def at_work(broker: AsyncBroker) -> AsyncGenerator[None]:
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(broker)
        if isinstance(broker, InMemoryBroker):  # it works by itself
            yield
            return
        worker = Worker(broker, queues=["default", "strict"])
        group = await stack.enter_async_context(anyio.create_task_group())
        group.start_soon(worker.serve)
        yield
        worker.stop(now=True)


async def die(broker: AsyncBroker, name: str, *arguments: Any) -> str:
    """Run a task to its bad end; returns its id."""
    handle = await broker.kicker(name).kiq(*arguments)
    assert (await handle.wait_result(timeout=20)).is_err
    return handle.task_id


async def test_a_letter_tells_everything(broker: AsyncBroker) -> None:
    async with at_work(broker):
        task_id = await die(broker, "halve", 3)
        [letter] = await until_dead(broker, 1)
    assert (letter.task_id, letter.task_name, letter.queue, letter.args, letter.deliveries) == (
        task_id,
        "halve",
        "default",
        [3],
        1,
    )
    assert letter.error == "ValueError: 3 is odd"
    assert letter.traceback is not None
    assert "is odd" in letter.traceback


async def test_listing_by_task_error_and_queue(broker: AsyncBroker) -> None:
    async with at_work(broker):
        for number in (1, 3):
            await die(broker, "halve", number)
        await die(broker, "refuse", "too late")
        await until_dead(broker, 3)
        dead = broker.dead
        assert [letter.args for letter in await dead.list(task="halve")] == [[3], [1]]  # newest first
        assert [letter.args for letter in await dead.list(error="3 is odd")] == [[3]]
        assert [letter.task_name for letter in await dead.list(queue="strict")] == ["refuse"]
        assert await dead.list(error="ValueError", task="refuse") == []
        assert len(await dead.list(limit=2)) == 2
        assert await dead.list(older_than=60) == []
        letter = (await dead.list(task="refuse"))[0]
        assert await dead.get(letter.id) == letter
        assert await dead.get("no such letter") is None


async def test_editing_mends_a_task(broker: AsyncBroker) -> None:
    async with at_work(broker):
        task_id = await die(broker, "halve", 3)
        [letter] = await until_dead(broker, 1)
        with pytest.raises(MessageTooLargeError):
            await broker.dead.retry_with(letter.id, args=["x" * (broker.max_message_size + 1)])
        for label in ("queue", "queue_name", "priority", "delay"):
            with pytest.raises(ValueError, match=f"goes back into its queue .*{label!r}"):
                await broker.dead.retry_with(letter.id, labels={label: 1})
        with pytest.raises(TypeError, match="args is a list or a tuple of the arguments, not str"):
            await broker.dead.retry_with(letter.id, args="8")
        with pytest.raises(TypeError, match="kwargs is a mapping"):
            await broker.dead.retry_with(letter.id, kwargs=[8])  # type: ignore[arg-type]
        assert await broker.dead.retry_with(letter.id, args=[8], labels={"by": "an operator"})
        assert not await broker.dead.retry_with(letter.id, args=[8])
        with anyio.fail_after(20):
            while (result := await broker.handle(task_id).get_result()).is_err:
                await anyio.sleep(0.02)
        assert result.return_value == 4
        assert result.labels["by"] == "an operator"
        assert await broker.dead.list() == []


async def test_retrying_by_error_begins_anew(broker: AsyncBroker) -> None:
    async with at_work(broker):
        for number in (1, 3, 5):
            await die(broker, "halve", number)
        await die(broker, "refuse", "never mind")
        before = {letter.id for letter in await until_dead(broker, 4)}
        assert await broker.dead.retry(choice=Choice(error="is odd")) == 3
        after = await until_dead(broker, 4)  # they die once more
        assert len({letter.id for letter in after} - before) == 3
        assert {letter.deliveries for letter in after} == {1}
        assert await broker.dead.retry(*[letter.id for letter in after if letter.task_name == "halve"], "nonsense") == 3


async def test_purging(broker: AsyncBroker) -> None:
    async with at_work(broker):
        for number in (1, 3, 5):
            await die(broker, "halve", number)
        await die(broker, "refuse", "never mind")
        letters = await until_dead(broker, 4)
        assert await broker.dead.purge(letters[0].id, letters[0].id) == 1
        assert await broker.dead.purge(choice=Choice(older_than=60)) == 0
        assert await broker.dead.purge(choice=Choice(task="halve", error="1 is")) == 1
        assert await broker.dead.purge(choice=Choice()) == 2
        assert await broker.dead.list() == []
        with pytest.raises(ValueError, match="which dead letters"):
            await broker.dead.purge()
        with pytest.raises(ValueError, match="which dead letters"):
            await broker.dead.retry("1", choice=Choice())


async def test_a_body_that_is_no_message(broker: AsyncBroker) -> None:
    async with at_work(broker):
        await broker.kick(BrokerMessage("garbage", "halve", b"\xc1 nonsense"))
        [letter] = await until_dead(broker, 1)
        assert (letter.task_name, letter.args, letter.error, letter.body) == (None, None, None, b"\xc1 nonsense")
        assert letter.reason
        with pytest.raises(MessageDecodeError, match="cannot be edited"):
            await broker.dead.retry_with(letter.id, args=[1])
        assert await broker.dead.retry(letter.id) == 1
        with anyio.fail_after(20):
            while not (again := await broker.dead.list()) or again[0].id == letter.id:
                await anyio.sleep(0.02)
        assert again[0].body == letter.body


async def test_many_letters_are_paged(broker: AsyncBroker) -> None:
    async with at_work(broker):
        await broker.kick_many([BrokerMessage(f"g{number}", "halve", b"\xc1 %d" % number) for number in range(250)])
        with anyio.fail_after(20):
            while len(await broker.dead.list(limit=300)) < 250:
                await anyio.sleep(0.05)
        bodies = [letter.body for letter in await broker.dead.list(limit=1000)]
        assert len(bodies) == len(set(bodies)) == 250
        assert await broker.dead.purge(choice=Choice(queue="default")) == 250


async def test_a_broker_without_dead_letters() -> None:
    class Plain(AsyncBroker):
        async def kick_many(self, messages: Any) -> None: ...

        async def listen(self) -> AsyncGenerator[bytes]:
            yield b""

    with pytest.raises(ConfigurationError, match="keeps no dead letters"):
        await Plain().dead.list()


async def until_dead(broker: AsyncBroker, count: int) -> list[Any]:
    """The letters, once there are so many: a result may be there a moment earlier."""
    with anyio.fail_after(20):
        while len(found := await broker.dead.list()) < count:
            await anyio.sleep(0.02)
    return list(found)
