"""Dead letters that are put back and become no message stay where they are."""

from pathlib import Path

import pytest

from taskiq_core.delivery import Settlement, Verdict
from taskiq_core.testing.broker_tools import bodies, collect, messages, settle
from taskiq_core_brokers_sqlite import SQLiteBroker

pytestmark = pytest.mark.anyio


async def test_letters_that_become_no_message_stay(tmp_path: Path) -> None:
    """One died twice, another is queued again."""
    broker = SQLiteBroker(tmp_path / "jobs.db")
    async with broker, broker.subscribe(["default"]) as subscription:
        twice, again = messages(2)
        for sent in ([twice, again], [twice]):
            await broker.kick_many(sent)
            taken = await collect(subscription, len(sent))
            await subscription.settle([Settlement(item, Verdict.REJECT, reason="no") for item in taken])
        await broker.kick_many([again])
        letters = await broker.admin.dead_letters()
        assert await broker.admin.requeue_dead([letter.id for letter in letters]) == 1
        assert [letter.id for letter in await broker.admin.dead_letters()] == [letter.id for letter in letters[1:]]
        taken = await collect(subscription, 2)
        assert sorted(bodies(taken)) == sorted([twice.message, again.message])
        await settle(subscription, taken)
