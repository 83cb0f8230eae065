"""Messages that came a moment before their time wait beside everything else."""

import anyio
import pytest

from taskiq_core import Delivery
from taskiq_core.worker.credit import Credit
from taskiq_core.worker.early import Early
from taskiq_core.worker.inbox import Inbox
from taskiq_core.worker.outcome import Outcome
from taskiq_core.worker.verdicts import Ending

pytestmark = pytest.mark.anyio


class Place:
    def __init__(self) -> None:
        self.inbox, self.credit = Inbox(), Credit(2, 0)
        self.early = Early(self.inbox, self.credit)

    def parked(self, name: str, delay: float = 0.02, ending: Ending = Ending.PARKED) -> Outcome:
        delivery = Delivery(name.encode())
        self.credit.take([delivery])
        return Outcome(delivery, ending, delay=delay, body=f"{name} booked".encode())


async def test_they_come_in_their_time_before_all_others() -> None:
    place = Place()
    place.inbox.put([Delivery(b"other")])
    async with anyio.create_task_group() as group:
        group.start_soon(place.early.run)
        assert place.early.keeps(place.parked("second", 0.04))
        assert place.early.keeps(place.parked("first", 0.02))
        assert place.credit.free == 2
        with anyio.fail_after(10):
            while len(place.inbox) < 3:
                await anyio.sleep(0.005)
        assert {item.body for item in place.inbox} == {b"first booked", b"second booked", b"other"}
        assert place.credit.free == 0
        assert list(place.inbox)[-1].body == b"other"
        group.cancel_scope.cancel()


async def test_only_what_comes_soon_is_kept() -> None:
    place = Place()
    assert not place.early.keeps(place.parked("later", 0.3))
    assert not place.early.keeps(place.parked("done", ending=Ending.FAILED))
    unbooked = place.parked("unbooked")
    unbooked.body = None
    assert not place.early.keeps(unbooked)


async def test_a_worker_that_stops_gives_them_back() -> None:
    place = Place()
    assert place.early.keeps(place.parked("kept", 0.2))
    assert [item.body for item in place.early.close()] == [b"kept booked"]
    assert not place.early.keeps(place.parked("another"))
    assert place.credit.free == 0


async def test_what_is_cancelled_is_taken_out() -> None:
    place = Place()
    first, second = place.parked("first", 0.1), place.parked("second", 0.2)
    assert place.early.keeps(first)
    assert place.early.keeps(second)
    assert place.early.remove([first.delivery, Delivery(b"a stranger")]) == [first.delivery]
    assert list(place.early) == [second.delivery]
    assert [item.body for item in place.early.close()] == [b"second booked"]
    assert place.credit.free == 0
