"""What the in-memory backends promise beyond the contract."""

import pytest

from taskiq_core.exceptions import ResultBackendNotConfiguredError
from taskiq_core.records import TaskStatus, Transition
from taskiq_core.result import TaskiqResult
from taskiq_core.result_backends.dummy import DummyResultBackend
from taskiq_core.result_backends.inmemory import InMemoryResultBackend
from taskiq_core.stores.expiring import ExpiringDict, deadline_of

pytestmark = pytest.mark.anyio


async def test_the_oldest_results_and_records_go_out() -> None:
    backend = InMemoryResultBackend(max_stored_results=3)
    for number in range(5):
        await backend.set_result(str(number), TaskiqResult(is_err=False, return_value=number))
        await backend.record([Transition(str(number), TaskStatus.PENDING, number)])
    assert {key: item.return_value for key, item in backend.results.items()} == {"2": 2, "3": 3, "4": 4}
    assert (await backend.get_records([str(number) for number in range(5)])).keys() == {"2", "3", "4"}


async def test_no_waiter_is_left_behind() -> None:
    backend = InMemoryResultBackend.from_url("memory://", result_ttl=60)
    assert backend.result_ttl == 60
    assert not await backend.wait_results(["a", "b"], timeout=0.01)
    assert backend._waiting == {}


async def test_the_dummy_keeps_nothing_and_refuses_to_wait() -> None:
    backend = DummyResultBackend()
    await backend.set_results([backend.pack("a", TaskiqResult(is_err=False, return_value=object()))])
    assert not await backend.is_result_ready("a")
    with pytest.raises(ResultBackendNotConfiguredError):
        await backend.wait_results(["a"])


def test_what_has_expired_leaves_nothing_behind() -> None:
    table: ExpiringDict[int, int] = ExpiringDict()
    for number in range(10_000):
        table.put(number, number, deadline_of(0))
    assert len(table) < 200
    assert 9_999 not in table
    assert table.get(9_999) is None
