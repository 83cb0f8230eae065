"""The laws that every result backend keeps."""

import random
import traceback
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import anyio
import anyio.lowlevel

from taskiq_core.abc.result_backend import AsyncResultBackend
from taskiq_core.exceptions import ResultGetError, ResultNotSerializableError, TaskFailed
from taskiq_core.ids import new_task_id
from taskiq_core.progress import TaskProgress, TaskState
from taskiq_core.result import TaskiqResult
from taskiq_core.testing.suite import Suite, law

Backend = AsyncResultBackend[Any]

VALUES: tuple[Any, ...] = (
    None,
    True,
    0,
    -(2**70),
    1.5,
    "ключ ☃ \0",
    b"\xff\x00\xfe",
    [1, [2, []]],
    {"a": {"b": None}, "": 1},
    UUID(int=7),
    datetime(2027, 1, 1, 9, 30, 0, 123456, tzinfo=UTC),
    date(2027, 1, 1),
    timedelta(days=-1, microseconds=5),
    Decimal("0.10"),
    {1, 2, 3},
)


class ResultBackendContract(Suite[AsyncResultBackend[Any]]):
    """Inherit, and override `fresh_store`."""

    big_value: int = 4 * 1024 * 1024
    """Bytes that one result must be able to hold."""

    @law()
    async def test_startup_and_shutdown_may_be_repeated(self, backend: Backend) -> None:
        """A backend may be started and shut down twice, and started again after that."""
        await backend.startup()
        await backend.shutdown()
        await backend.shutdown()
        await backend.startup()
        (task_id,) = await store(backend, 1)
        assert await backend.is_result_ready(task_id)

    @law()
    async def test_a_batch_is_stored_and_read(self, backend: Backend) -> None:
        """What `set_results` stores, `get_results` returns in one call, and nothing beside it."""
        ids = await store(backend, *range(300))
        await backend.set_results([])
        found = await backend.get_results([*ids, new_task_id()])
        assert values(found) == dict(zip(ids, range(300), strict=True))
        assert await backend.get_results([]) == {}
        one = await backend.get_result(ids[7])
        assert (one.is_err, one.return_value) == (False, 7)

    @law()
    async def test_what_is_missing_is_missing(self, backend: Backend) -> None:
        """A result that nobody has stored is not ready, and reading it raises `ResultGetError`."""
        task_id = new_task_id()
        assert not await backend.is_result_ready(task_id)
        assert await backend.get_results([task_id]) == {}
        try:
            found = await backend.get_result(task_id)
        except ResultGetError:
            return
        raise AssertionError(found)

    @law()
    async def test_storing_again_replaces(self, backend: Backend) -> None:
        """A batch may be stored again, as after an error; the last result of an id is the one that counts."""
        task_id = new_task_id()
        for value in ("first", "second", "second"):
            await backend.set_results([backend.pack(task_id, result(value))])
        assert (await backend.get_result(task_id)).return_value == "second"

    @law()
    async def test_one_by_one_is_the_same(self, backend: Backend) -> None:
        """`set_result` stores what `set_results` would have."""
        task_id = new_task_id()
        await backend.set_result(task_id, result("value"))
        assert await backend.is_result_ready(task_id)
        assert values(await backend.get_results([task_id])) == {task_id: "value"}

    @law()
    async def test_values_keep_their_types(self, backend: Backend) -> None:
        """A value comes back equal and of the same type."""
        ids = await store(backend, *VALUES)
        found = await backend.get_results(ids)
        for task_id, value in zip(ids, VALUES, strict=True):
            back = found[task_id].return_value
            assert (type(back), back) == (type(value), value), f"{value!r} came back as {back!r}"

    @law()
    async def test_the_envelope_is_kept(self, backend: Backend) -> None:
        """Time and labels of a result are stored with it."""
        task_id = new_task_id()
        whole = TaskiqResult[Any](is_err=False, return_value=1, execution_time=0.123456789, labels={"queue": "q", "n": 3})
        await backend.set_results([backend.pack(task_id, whole)])
        back = await backend.get_result(task_id)
        assert (back.execution_time, back.labels) == (0.123456789, {"queue": "q", "n": 3})

    @law()
    async def test_errors_keep_class_cause_and_traceback(self, backend: Backend) -> None:
        """An error comes back as its own class with arguments, cause and the traceback's text."""
        task_id, failed = new_task_id(), _failure()
        await backend.set_results([backend.pack(task_id, failed)])
        back = await backend.get_result(task_id)
        assert back.is_err
        assert isinstance(back.error, TaskFailed)
        assert str(back.error) == "no stock"
        assert isinstance(back.error.__cause__, KeyError)
        assert back.error.__cause__.args == ("sku", 7)
        assert back.traceback == failed.traceback

    @law()
    async def test_a_big_result_is_stored(self, backend: Backend) -> None:
        """A value of `big_value` bytes comes back as it was."""
        value = random.Random(1).randbytes(self.big_value)
        (task_id,) = await store(backend, value)
        assert (await backend.get_result(task_id)).return_value == value, "the value was changed"

    @law()
    async def test_what_cannot_be_stored_is_refused_alone(self, backend: Backend) -> None:
        """A value that has no form as bytes raises `ResultNotSerializableError`, and the next one is stored."""
        task_id = new_task_id()
        refused = False
        try:
            await backend.set_results([backend.pack(task_id, result(object()))])
        except ResultNotSerializableError:
            refused = True
        assert refused, "object() was accepted"
        assert not await backend.is_result_ready(task_id)
        await store(backend, "next")

    @law()
    async def test_bytes_that_are_no_result_raise(self, backend: Backend) -> None:
        """`load` of anything but a result's bytes raises `ResultGetError` and nothing else."""
        body = backend.dump(result(1))
        for garbage in (b"", b"\xff", b"{", body[:-1], body + b"x", b"\x90"):
            try:
                found = backend.load(garbage)
            except ResultGetError:
                continue
            raise AssertionError(garbage, found)

    @law()
    async def test_results_end_with_their_ttl(self, backend: Backend) -> None:
        """A result with a ttl is gone when it has passed, and others stay."""
        brief, kept, now = new_task_id(), new_task_id(), anyio.current_time()
        await backend.set_results([backend.pack(brief, result(1), ttl=1.0), backend.pack(kept, result(2), ttl=600.0)])
        assert await backend.is_result_ready(brief) or anyio.current_time() - now >= 1.0
        while await backend.is_result_ready(brief):  # noqa: ASYNC110 - nothing tells when a result has gone
            await anyio.sleep(0.05)
        assert await backend.get_results([brief, kept]) == await backend.get_results([kept])
        assert await backend.is_result_ready(kept)

    @law()
    async def test_waiting_ends_when_the_result_comes(self, backend: Backend) -> None:
        """Whoever waits gets the result that is stored later."""
        await _wait_while_storing(backend, backend)

    @law(shared=True)
    async def test_another_instance_wakes_who_waits(self, backend: Backend) -> None:
        """Whoever waits gets the result that another instance stores later."""
        await _wait_while_storing(backend, await self.another())

    @law()
    async def test_waiting_returns_what_there_is(self, backend: Backend) -> None:
        """Waiting for several returns at once with those that exist."""
        ids = await store(backend, 1, 2)
        missing = new_task_id()
        assert values(await backend.wait_results([missing, *ids])) == {ids[0]: 1, ids[1]: 2}

    @law()
    async def test_waiting_ends_with_its_timeout(self, backend: Backend) -> None:
        """Without any result, waiting returns nothing after `timeout` seconds, and not before."""
        begin = anyio.current_time()
        assert not await backend.wait_results([new_task_id()], timeout=0.2)
        assert anyio.current_time() - begin >= 0.15
        assert not await backend.wait_results([new_task_id()], timeout=0)

    @law()
    async def test_many_can_wait(self, backend: Backend) -> None:
        """Two hundred that wait, in pairs for one result each and for overlapping sets, all get theirs."""
        ids, got = [new_task_id() for _ in range(100)], list[str]()

        async def wait(task_id: str, others: Sequence[str]) -> None:
            found: Mapping[str, Any] = {}
            while task_id not in found:
                found = await backend.wait_results([task_id, *others])
                others = [item for item in others if item not in found]
            got.append(task_id)

        async with anyio.create_task_group() as group:
            for number, task_id in enumerate(ids):
                group.start_soon(wait, task_id, list[str]())
                group.start_soon(wait, task_id, ids[number + 1 : number + 4])
            await anyio.lowlevel.checkpoint()
            for start in range(0, 100, 25):
                await backend.set_results([backend.pack(task_id, result(1)) for task_id in ids[start : start + 25]])
        assert sorted(got) == sorted([*ids, *ids])

    @law()
    async def test_a_cancelled_wait_harms_nobody(self, backend: Backend) -> None:
        """When one that waits is cancelled, others for the same result still get it, and it can wait again."""
        task_id, got, chance = new_task_id(), list[Any](), random.Random(6)

        async def wait() -> None:
            got.append((await backend.wait_results([task_id]))[task_id].return_value)

        async with anyio.create_task_group() as group:
            for _ in range(3):
                group.start_soon(wait)
            for _ in range(30):
                with anyio.move_on_after(chance.choice((0, chance.random() * 0.005))):
                    await backend.wait_results([task_id])
            await backend.set_results([backend.pack(task_id, result("value"))])
        await wait()
        assert got == ["value"] * 4

    @law()
    async def test_progress_is_kept_or_ignored(self, backend: Backend) -> None:
        """The last progress of a task is returned, or None by a backend that keeps none; without any it is None."""
        task_id = new_task_id()
        assert await backend.get_progress(task_id) is None
        for current in (1, 2):
            step = TaskProgress[Any](state=TaskState.STARTED, current=current, total=9, message="☃", meta={"k": [1, None]})
            await backend.set_progress(task_id, step)
            found = await backend.get_progress(task_id)
            if type(backend).set_progress is AsyncResultBackend.set_progress:
                assert found is None
            else:
                assert found == step


def result(value: Any) -> TaskiqResult[Any]:
    """A success."""
    return TaskiqResult(is_err=False, return_value=value, execution_time=0.5)


async def store(backend: Backend, *what: Any) -> list[str]:
    """Store values in one batch and return their ids."""
    ids = [new_task_id() for _ in what]
    await backend.set_results([backend.pack(task_id, result(value)) for task_id, value in zip(ids, what, strict=True)])
    return ids


def values(found: Mapping[str, TaskiqResult[Any]]) -> dict[str, Any]:
    """The values by id."""
    return {task_id: item.return_value for task_id, item in found.items()}


def _failure() -> TaskiqResult[Any]:
    failure = TaskFailed("no stock")
    failure.__cause__ = KeyError("sku", 7)
    try:
        raise failure
    except TaskFailed as error:
        return TaskiqResult(is_err=True, return_value=None, error=error, traceback=traceback.format_exc())


async def _wait_while_storing(waiter: Backend, writer: Backend) -> None:
    ids, got = [new_task_id(), new_task_id()], dict[str, Any]()

    async def wait() -> None:
        while len(got) < len(ids):
            got.update(values(await waiter.wait_results([item for item in ids if item not in got])))

    async with anyio.create_task_group() as group:
        group.start_soon(wait)
        for number, task_id in enumerate(ids):
            await anyio.sleep(0.05)  # long enough to be waiting; if it is not yet, the law is still right
            await writer.set_results([writer.pack(task_id, result(number))])
    assert got == {ids[0]: 0, ids[1]: 1}
