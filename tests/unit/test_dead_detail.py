"""What is kept beside a dead letter has a bound, however long an error is."""

import pytest

from taskiq_core import InMemoryBroker
from taskiq_core.dead_bounds import DETAIL_BYTES, REASON_BYTES, cut_reason, shortened
from taskiq_core.dead_detail import DeadDetail

pytestmark = pytest.mark.anyio


def test_what_fits_stays_as_it_is() -> None:
    detail = DeadDetail("☃" * (REASON_BYTES // 3), "é\n" * 4000)
    assert DeadDetail.unpack(detail.pack()) == detail
    assert shortened("☃" * 40, 120) == cut_reason("☃" * 40) == "☃" * 40


@pytest.mark.parametrize("character", ["x", "é", "☃", "\N{MUSICAL SYMBOL G CLEF}", "\ud800"])
def test_of_what_is_too_long_begin_and_end_are_kept(character: str) -> None:
    long = f"begin {character * 300_000} end"
    packed = DeadDetail(long, long).pack()
    assert len(packed) <= DETAIL_BYTES
    detail = DeadDetail.unpack(packed)
    assert detail is not None
    for text in (detail.error, detail.traceback or ""):
        assert (text[:6], text[-4:]) == ("begin ", " end")
        assert "left out" in text
    assert len(cut_reason(long).encode()) <= REASON_BYTES


async def test_a_task_with_a_long_error_becomes_a_dead_letter() -> None:
    """It is the worker that shortens; what brokers do is a law of their suite."""
    broker = InMemoryBroker()

    @broker.task("fails", dead_letter=True)
    async def fails() -> None:
        raise ValueError("x" * 3_000)

    async with broker:
        await (await fails.kiq()).wait_result(timeout=10)
        page = await broker.dead.list()
    (letter,) = page
    assert letter.error is not None
    assert letter.traceback is not None
    assert len(letter.error) <= REASON_BYTES
    assert len(letter.reason) <= REASON_BYTES
