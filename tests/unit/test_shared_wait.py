"""`SharedWait` over a store that is a dict, with a watch that is an event."""

import contextlib
from collections.abc import Sequence

import anyio
import anyio.lowlevel
import pytest

from taskiq_core.waiting import SharedWait

pytestmark = pytest.mark.anyio


class Store:
    """Values by key; counts what is asked of it."""

    def __init__(self) -> None:
        self.values: dict[str, int] = {}
        self.changed = anyio.Event()
        self.fetches = 0
        self.watches = 0
        self.error: Exception | None = None

    def put(self, **values: int) -> None:
        self.values.update(values)
        self.changed.set()

    async def fetch(self, keys: Sequence[str]) -> dict[str, int]:
        self.fetches += 1
        await anyio.lowlevel.checkpoint()
        if self.error is not None:
            raise self.error
        return {key: self.values[key] for key in keys if key in self.values}

    @contextlib.contextmanager
    def open_watch(self):
        self.watches += 1
        try:
            yield self
        finally:
            self.watches -= 1

    async def wait(self) -> None:
        await self.changed.wait()
        self.changed = anyio.Event()


async def ticks(count: int = 20) -> None:
    for _ in range(count):
        await anyio.lowlevel.checkpoint()


async def test_what_exists_is_returned_at_once():
    store = Store()
    store.put(a=1, b=2)
    assert await SharedWait(store.fetch, store.open_watch).wait(["a", "b", "c", "a"]) == {"a": 1, "b": 2}
    assert store.watches == 0


async def test_no_keys_and_no_time():
    store = Store()
    shared = SharedWait(store.fetch, store.open_watch)
    assert await shared.wait([]) == {}
    assert await shared.wait(["a"], timeout=0.01) == {}
    assert store.watches == 0


async def test_each_caller_gets_its_own_with_one_watch_between_them():
    store, got = Store(), dict[str, int]()
    shared = SharedWait(store.fetch, store.open_watch)

    async def call(key: str) -> None:
        got.update(await shared.wait([key]))

    with anyio.fail_after(20):
        async with anyio.create_task_group() as group:
            for number in range(100):
                group.start_soon(call, f"k{number}")
            await ticks()
            assert store.watches == 1
            before = store.fetches
            store.put(**{f"k{number}": number for number in range(100)})
    assert got == {f"k{number}": number for number in range(100)}
    assert store.fetches == before + 1
    assert store.watches == 0


@pytest.mark.parametrize("leader_leaves", ["with a value", "by timeout", "by cancellation", "by an error"])
async def test_when_the_leader_leaves_another_leads(leader_leaves):
    store, got = Store(), list[dict[str, int]]()
    shared = SharedWait(store.fetch, store.open_watch)
    scope = anyio.CancelScope()

    async def lead() -> None:
        with scope, contextlib.suppress(ZeroDivisionError):
            await shared.wait(["first"], timeout=0.05 if leader_leaves == "by timeout" else None)

    async def follow() -> None:
        got.append(await shared.wait(["second"]))

    with anyio.fail_after(20):
        async with anyio.create_task_group() as group:
            group.start_soon(lead)
            await ticks()
            for _ in range(3):
                group.start_soon(follow)
            await ticks()
            if leader_leaves == "with a value":
                store.put(first=1)
            elif leader_leaves == "by cancellation":
                scope.cancel()
            elif leader_leaves == "by an error":
                store.error = ZeroDivisionError()
                store.changed.set()
                while store.watches:
                    await anyio.lowlevel.checkpoint()
                    if not any(caller.keys == ["first"] for caller in shared._callers):
                        store.error = None
                        break
            else:
                await anyio.sleep(0.1)
            await ticks()
            store.put(second=2)
    assert got == [{"second": 2}] * 3
    assert store.watches == 0
    assert not shared._callers
    assert not shared._by_key


async def test_who_comes_while_the_leader_rests_is_looked_after_at_once():
    store, got = Store(), list[dict[str, int]]()
    shared = SharedWait(store.fetch, store.open_watch)

    async def call(key: str) -> None:
        got.append(await shared.wait([key]))

    with anyio.fail_after(20):
        async with anyio.create_task_group() as group:
            group.start_soon(call, "late")
            await ticks()
            store.values["there"] = 1  # nobody rings for it
            await call("there")
            assert got == [{"there": 1}]
            store.put(late=2)
    assert got == [{"there": 1}, {"late": 2}]


class TellingStore(Store):
    """Its watch says which keys have changed, and says so even if it was cancelled in that moment."""

    told: frozenset[str] = frozenset()

    async def wait(self) -> frozenset[str]:
        with anyio.move_on_after(2, shield=True):
            await super().wait()
        return self.told


async def test_who_comes_in_the_moment_of_other_news_is_looked_for():
    store = TellingStore()
    shared = SharedWait(store.fetch, store.open_watch)
    found: dict[str, int] = {}

    async def wait(key: str) -> None:
        found.update(await shared.wait([key]))

    with anyio.fail_after(5):
        async with anyio.create_task_group() as group:
            group.start_soon(wait, "a")
            await ticks()
            store.values["b"] = 2  # there before anybody asks, so that no news of it will come
            group.start_soon(wait, "b")
            await ticks()
            store.told = frozenset({"x"})
            store.changed.set()
            await ticks()
            assert found == {"b": 2}
            store.told = frozenset({"a"})
            store.put(a=1)
    assert found == {"a": 1, "b": 2}
