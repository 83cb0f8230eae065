"""What may be a task id."""

import uuid
from typing import Any

import pytest

from taskiq_core import InMemoryBroker
from taskiq_core.exceptions import SendTaskError
from taskiq_core.ids import check_task_id

pytestmark = pytest.mark.anyio

WRONG: list[tuple[Any, str]] = [
    (uuid.UUID(int=1), "not UUID"),
    (b"bytes", "not bytes"),
    (None, "not NoneType"),
    (7, "not int"),
    ("", "not of 0"),
    ("x" * 256, "not of 256"),
    ("a\0b", "no NUL"),
    ("half \ud800", "no half characters"),
]


@pytest.mark.parametrize("task_id", ["1", "x" * 255, "ü ☃", "01a2033c25c088c2216f00112233aabb"])
def test_any_short_text_is_an_id(task_id: str) -> None:
    assert check_task_id(task_id) == task_id


@pytest.mark.parametrize(("task_id", "reason"), WRONG, ids=repr)
async def test_wrong_ids_are_refused_where_they_are_set_and_where_they_are_sent(task_id: Any, reason: str) -> None:
    broker = InMemoryBroker(task_id_generator=lambda: task_id)

    @broker.task
    async def work() -> None: ...

    with pytest.raises(ValueError, match=reason):
        work.kicker().with_task_id(task_id)
    async with broker:
        with pytest.raises(SendTaskError, match=reason) as caught:
            await work.kiq()
        assert caught.value.outcome == "refused"
        assert not broker.queue.busy
