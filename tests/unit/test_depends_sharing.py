"""A dependency is shared within a message and never between messages; overrides replace it."""

from types import SimpleNamespace
from typing import Any, Generic, TypeVar

import anyio
import pytest
from support.dependencies import Broker, Plain, plain, run

from taskiq_core.context import Context, context_values
from taskiq_core.depends import Resolver, TaskiqDepends
from taskiq_core.message import TaskiqMessage

pytestmark = pytest.mark.anyio

T = TypeVar("T")
U = TypeVar("U")


# -- nesting and caching ---------------------------------------------------------------------------------------------------


async def test_a_dependency_is_made_once_per_message():
    made: list[str] = []

    def shared():
        made.append("shared")
        return object()

    def left(value=TaskiqDepends(shared)):
        return value

    async def right(value=TaskiqDepends(shared)):
        return value

    async def task(a=TaskiqDepends(left), b=TaskiqDepends(right), c=TaskiqDepends(shared)):
        return a, b, c

    first = await run(task)
    assert first[0] is first[1] is first[2]
    assert made == ["shared"]
    assert (await run(task))[0] is not first[0]


async def test_without_cache_it_is_made_for_every_use():
    async def task(a=TaskiqDepends(Plain, use_cache=False), b=TaskiqDepends(Plain, use_cache=False), c=TaskiqDepends(Plain)):
        return a, b, c

    a, b, c = await run(task)
    assert len({id(a), id(b), id(c)}) == 3


async def test_keyword_arguments_make_different_dependencies_of_one_class():
    class Client:
        def __init__(self, url: list[str], ctx: Context = TaskiqDepends()) -> None:
            self.url = url
            self.ctx = ctx

    async def task(
        a=TaskiqDepends(Client, kwargs={"url": ["a"]}),
        b=TaskiqDepends(Client, kwargs={"url": ["b"]}),
        again=TaskiqDepends(Client, kwargs={"url": ["a"]}),
    ):
        return a, b, again

    a, b, again = await run(task)
    assert a is again
    assert (a.url, b.url) == (["a"], ["b"])
    assert a.ctx is b.ctx


async def test_generic_classes_get_what_their_parameters_stand_for():
    class Repository(Generic[T]):
        def __init__(self, model: T = TaskiqDepends()) -> None:
            self.model = model

    class Pair(Repository[T], Generic[T, U]):
        pass

    class Fixed(Pair[Plain, int]):
        pass

    class Holder(Generic[U]):
        def __init__(self, inner: Repository[U] = TaskiqDepends()) -> None:
            self.model = inner.model

    async def task(
        a: Repository[Plain] = TaskiqDepends(),
        b: Pair[Plain, str] = TaskiqDepends(),
        c: Fixed = TaskiqDepends(),
        d: Holder[Plain] = TaskiqDepends(),
        e: Repository[dict[str, int]] = TaskiqDepends(),
    ):
        return [type(found.model) for found in (a, b, c, d, e)]

    assert await run(task) == [Plain, Plain, Plain, Plain, dict]
    fake = SimpleNamespace(model="fake")
    assert await run(task, overrides={Repository: lambda: fake}) == [str, Plain, Plain, str, str]
    assert await run(task, overrides={Repository[Plain]: lambda: fake}) == [str, Plain, Plain, str, dict]


async def test_concurrent_messages_share_nothing():
    """Fifty calls, each resolving an uncached nested dependency after an await, each see their own context."""
    started = 0
    everyone = anyio.Event()

    async def wait_for_all():
        nonlocal started
        started += 1
        if started == 50:
            everyone.set()
        await everyone.wait()

    def nested(ctx: Context = TaskiqDepends(use_cache=False)):
        return ctx.task_id

    async def late(_=TaskiqDepends(wait_for_all), task_id=TaskiqDepends(nested, use_cache=False)):
        await anyio.lowlevel.checkpoint()
        return task_id

    async def task(_=TaskiqDepends(wait_for_all), a=TaskiqDepends(late), b=TaskiqDepends(nested), c: Context = TaskiqDepends()):
        await anyio.lowlevel.checkpoint()
        return a, b, c.task_id

    resolver = Resolver.of(task)
    assert resolver is not None
    broker, seen = Broker(), {}

    async def one(task_id: str) -> None:
        values = context_values(Context(TaskiqMessage(task_id, "task"), broker))
        async with resolver.resolve(values) as injected:
            seen[task_id] = await task(**injected)

    with anyio.fail_after(10):
        async with anyio.create_task_group() as group:
            for number in range(50):
                group.start_soon(one, str(number))
    assert seen == {str(number): (str(number),) * 3 for number in range(50)}


async def test_arguments_of_the_message_win():
    async def task(a: int, value: str = TaskiqDepends(plain)):
        return a, value

    assert await run(task, a=1) == (1, "plain")
    assert await run(task, a=1, value="sent") == (1, "sent")


# -- overrides -------------------------------------------------------------------------------------------------------------


async def test_overrides_take_effect_anywhere_and_end_when_they_are_removed():
    def nested(value=TaskiqDepends(plain)):
        return f"nested {value}"

    def other(ctx: Context = TaskiqDepends()):
        yield f"other {ctx.task_id}"

    async def task(value=TaskiqDepends(nested), made: Plain = TaskiqDepends()):
        return value, made if isinstance(made, str) else made.name

    resolver = Resolver.of(task)
    assert resolver is not None
    values = context_values(Context(TaskiqMessage("id-1", "task"), Broker()))
    overrides: dict[Any, Any] = {}

    async def once():
        async with resolver.resolve(values, overrides) as injected:
            return await task(**injected)

    assert await once() == ("nested plain", "class")
    overrides.update({plain: other, Plain: lambda: "fake"})
    assert await once() == ("nested other id-1", "fake")
    del overrides[plain]
    assert await once() == ("nested plain", "fake")
    overrides.clear()
    assert await once() == ("nested plain", "class")


async def test_an_override_spares_what_the_original_needed():
    def broken():
        raise AssertionError

    def original(_=TaskiqDepends(broken)): ...

    async def task(value=TaskiqDepends(original)):
        return value

    assert await run(task, overrides={original: lambda: "fake"}) == "fake"
