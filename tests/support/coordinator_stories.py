"""What happens to every coordinator and record store on a server that is not there."""

import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import anyio.to_thread
import pytest
from support.processes import DEADLINE

from taskiq_core.abc.coordinator import AdmissionRequest, Claim, RateLimit, SlotLimit
from taskiq_core.exceptions import ResultBackendError
from taskiq_core.plugins import result_backend_from_url
from taskiq_core.records import TaskStatus, Transition

SLOTS = SlotLimit("k", 1, setting="k")


@asynccontextmanager
async def opened(url: str) -> AsyncGenerator[Any]:
    """The backend at a URL, started."""
    backend = result_backend_from_url(url)
    await backend.startup()
    try:
        yield backend
    finally:
        await backend.shutdown()


def wish(holder: str) -> AdmissionRequest:
    """A slot of two, and one start."""
    return AdmissionRequest(holder, 60, [SLOTS], [RateLimit("k", 1, 60, 60), RateLimit("l", 5, 60, 60)])


def ended(task_id: str, age: float = 0) -> Transition:
    """A task `x` succeeded so many seconds ago."""
    return Transition(task_id, TaskStatus.SUCCESS, time.time() - age, "x")


async def use(backend: Any) -> None:
    """All steps once, each with the answer of an empty store, which it leaves."""
    assert await backend.claim([Claim("k", "a", 60), Claim("k", "b", 60)]) == [True, False]
    await backend.release([("k", "a")])
    assert await backend.holders(["k", "l"]) == {}
    await backend.put({"k": b"2", "l": None})
    assert await backend.get(["k", "l"]) == {"k": b"2"}
    assert [answer.granted for answer in await backend.admit([wish("a"), wish("b"), wish("c")])] == [True, False, False]
    assert await backend.leave([("a", SLOTS), ("b", SLOTS)]) == [2, 2]
    assert await backend.add({"k": 1, "l": 2}, 60) == {"k": 1, "l": 2}
    assert await backend.arrive("k", ["a"], 1, 60)
    await backend.forget(["k", "l"])
    await backend.record([ended("t"), ended("old", 100)])
    assert (await backend.get_records(["t", "u"])).keys() == {"t"}
    assert [record.task_id for record in (await backend.list_records(task_name="x")).records] == ["t", "old"]
    assert await backend.count_by_status() == {TaskStatus.SUCCESS: 2}
    assert await backend.cleanup(older_than=50) == 1
    assert await backend.cleanup(older_than=-50) == 1


async def assert_all_refuse(backend: Any, sentence: str) -> None:
    """Hold that calls of every kind say so, without a password."""
    for asked in (
        backend.claim([Claim("k", "a", 60)]),
        backend.admit([wish("a")]),
        backend.forget(["k"]),
        backend.record([ended("t")]),
        backend.get_records(["t"]),
        backend.list_records(),
    ):
        with pytest.raises(ResultBackendError, match=sentence) as raised:
            await asked
        assert "s3cret" not in str(raised.value)


class CoordinatorStories:
    """Inherit, with the fixtures `server`, of the test's own, and `url`, which leads to it with the password `s3cret`."""

    scheme: str
    title: str
    """The server's name in errors."""

    async def test_a_server_that_is_gone_is_named_in_the_error(self, server: Any, url: str) -> None:
        async with opened(url) as backend:
            await use(backend)
            await anyio.to_thread.run_sync(server.stop)
            await assert_all_refuse(backend, f"{self.title} at .*{server.port}.* cannot be reached")
            await anyio.to_thread.run_sync(server.restart)
            with anyio.fail_after(DEADLINE):
                while not await answers(backend):  # for a moment the last error is given again
                    await anyio.sleep(0.01)
            await use(backend)

    async def test_a_backend_that_is_not_started_says_so(self) -> None:
        await assert_all_refuse(result_backend_from_url(f"{self.scheme}://:s3cret@localhost"), "is not started")


async def answers(backend: Any) -> bool:
    """Whether it does what it is asked for."""
    try:
        await backend.forget(["k"])
    except ResultBackendError:
        return False
    return True
