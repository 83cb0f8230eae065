"""What may be a dependency, and what is refused before anything runs."""

# ruff: noqa: B008 - a marker as default is the very thing under test

import contextlib
import functools
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar

import anyio
import pytest
from support.dependencies import Broker, Plain, plain, run

from taskiq_core.context import Context
from taskiq_core.depends import Progress, ProgressTracker, Resolver, TaskiqDepends, compile_plan
from taskiq_core.depends.graph import Kind
from taskiq_core.depends.progress_tracker import TaskState
from taskiq_core.exceptions import ConfigurationError
from taskiq_core.state import TaskiqState

pytestmark = pytest.mark.anyio

T = TypeVar("T")


# -- what may be a dependency ----------------------------------------------------------------------------------------------


async def coroutine():
    await anyio.lowlevel.checkpoint()
    return "coroutine"


def generator():
    yield "generator"


async def async_generator():
    yield "async generator"


@contextlib.contextmanager
def manager():
    yield "manager"


@contextlib.asynccontextmanager
async def async_manager():
    yield "async manager"


class CallableObject:
    def __init__(self, name: str) -> None:
        self.name = name

    async def __call__(self) -> str:
        return self.name


@dataclass
class UnhashableCallable:
    names: list[str]

    def __call__(self):
        yield self.names[0]


@functools.wraps(coroutine)
def decorated():
    return coroutine()


def named(name: str):
    yield name


@pytest.mark.parametrize(
    ("dependency", "expected"),
    [
        (plain, "plain"),
        (coroutine, "coroutine"),
        (generator, "generator"),
        (async_generator, "async generator"),
        (manager, "manager"),
        (async_manager, "async manager"),
        (CallableObject("object"), "object"),
        (UnhashableCallable(["unhashable"]), "unhashable"),
        (decorated, "coroutine"),
        (lambda: coroutine(), "coroutine"),
        (functools.partial(named, "partial"), "partial"),
        (CallableObject("method").__call__, "method"),
        (dict, {}),
    ],
)
async def test_every_kind_of_callable(dependency, expected):
    async def as_default(value=TaskiqDepends(dependency)):
        return value

    async def as_annotation(value: Annotated[Any, TaskiqDepends(dependency)]):
        return value

    assert await run(as_default) == expected
    assert await run(as_annotation) == expected


async def test_the_annotation_is_the_dependency_where_none_is_named():
    async def task(a: Plain = TaskiqDepends(), *, b: Annotated[Plain, TaskiqDepends()]):
        return a, b

    a, b = await run(task)
    assert isinstance(a, Plain)
    assert a is b


async def test_context_values_are_found_by_type():
    class Request:
        def __init__(self, scope: dict[str, Any]) -> None:
            raise AssertionError

    def nested(request: Request = TaskiqDepends(), ctx: Context = TaskiqDepends()):
        return request, ctx

    async def task(
        found=TaskiqDepends(nested),
        ctx: Context = TaskiqDepends(),
        state: TaskiqState = TaskiqDepends(),
        broker: Broker = TaskiqDepends(),
    ):
        return found, ctx, state, broker

    broker = Broker()
    (request, nested_ctx), ctx, state, got = await run(task, broker=broker, values={Request: "request"})
    assert request == "request"
    assert nested_ctx is ctx
    assert state is broker.state
    assert got is broker


async def test_an_object_that_could_be_entered_is_handed_over_as_it_is():
    class Session:
        entered = False

        def __enter__(self):
            self.entered = True

        def __exit__(self, *_):
            raise AssertionError

    async def task(session: Session = TaskiqDepends()):
        return session.entered

    assert await run(task) is False


async def test_markers_of_other_frameworks_are_understood():
    class Depends:
        def __init__(self, dependency=None, use_cache=True) -> None:
            self.dependency = dependency
            self.use_cache = use_cache

    async def task(a=Depends(plain), b: Plain = Depends()):
        return a, type(b)

    assert await run(task) == ("plain", Plain)


# -- compiling -------------------------------------------------------------------------------------------------------------


async def test_a_function_without_dependencies_has_no_plan():
    def task(a: int, b: str = "b"): ...

    assert compile_plan(task) is None
    assert Resolver.of(task) is None


async def test_a_plan_lists_every_call_after_what_it_needs():
    def nested(a=TaskiqDepends(plain), b=TaskiqDepends(generator)): ...

    def task(x=TaskiqDepends(nested), y=TaskiqDepends(plain), z: Context = TaskiqDepends()): ...

    plan = compile_plan(task, provided={Context})
    assert plan is not None
    assert [step.kind for step in plan.steps] == [Kind.CALL, Kind.MANAGER, Kind.CALL, Kind.PROVIDED]
    assert plan.steps[2].inputs == (("a", 0), ("b", 1))
    assert plan.targets == (("x", 2), ("y", 0), ("z", 3))
    assert plan.has_teardown
    assert compile_plan(task, provided={Context}, overrides={generator: plain}).has_teardown is False  # type: ignore[union-attr]


class First:
    def __init__(self, second: "Second" = TaskiqDepends()) -> None: ...


class Second:
    def __init__(self, first: First = TaskiqDepends()) -> None: ...


async def test_a_cycle_is_refused_with_its_path():
    def task(start: First = TaskiqDepends()): ...

    with pytest.raises(ConfigurationError, match=r"Dependencies form a cycle: First -> Second -> First$"):
        compile_plan(task)
    with pytest.raises(ConfigurationError, match="cycle"):
        compile_plan(lambda x=TaskiqDepends(plain): None, overrides={plain: lambda y=TaskiqDepends(plain): None})


async def test_a_marker_that_names_nothing_is_refused():
    def bare(value=TaskiqDepends()): ...
    def anything(value: Any = TaskiqDepends()): ...
    def either(value: int | None = TaskiqDepends()): ...
    def unknown(value: "Nowhere" = TaskiqDepends()): ...  # type: ignore[name-defined]  # noqa: F821
    def variable(value: T = TaskiqDepends()): ...  # type: ignore[type-var, misc]

    for func in (bare, anything, either, variable):
        with pytest.raises(ConfigurationError, match=r"Parameter 'value' of .* neither a class as annotation nor an argument"):
            compile_plan(func)
    with pytest.raises(ConfigurationError, match="'Nowhere', which cannot be resolved"):
        compile_plan(unknown)
    with pytest.raises(TypeError, match="something callable"):
        TaskiqDepends("plain")  # type: ignore[arg-type]


async def test_parameters_that_cannot_be_filled_are_refused():
    def needs(url: str): ...
    def positional(value=TaskiqDepends(plain), /): ...

    with pytest.raises(ConfigurationError, match=r"Parameter 'url' of .*needs has no default"):
        compile_plan(lambda value=TaskiqDepends(needs): None)
    with pytest.raises(ConfigurationError, match="passed by name"):
        compile_plan(positional)


# -- progress --------------------------------------------------------------------------------------------------------------


async def test_progress_is_a_position_of_a_total():
    broker = Broker()

    async def task(progress: Progress = TaskiqDepends()):
        await progress.set(50)
        await progress.set(3, total=4, message="almost", meta={"file": "a"})
        await progress.set(4, total=4)

    await run(task, broker=broker, task_id="id-7")
    seen = [(p.current, p.total, p.percent, p.message, p.meta) for p in broker.result_backend.history]
    assert seen == [(50, 100, 50, "", None), (3, 4, 75, "almost", {"file": "a"}), (4, 4, 100, "", {"file": "a"})]
    assert list(broker.result_backend.progress) == ["id-7"]


async def test_the_tracker_keeps_the_meta_that_was_stored_before():
    async def task(tracker: ProgressTracker[int] = TaskiqDepends()):
        assert await tracker.get_progress() is None
        await tracker.set_progress(TaskState.STARTED, 1)
        await tracker.set_progress("parsing")
        return await tracker.get_progress()

    progress = await run(task)
    assert (progress.state, progress.meta) == ("parsing", 1)
