"""Dead letters that are put back on a broker that keeps each id once: those that become no message stay."""

from typing import Any

from taskiq_core.delivery import Verdict
from taskiq_core.testing.broker_tools import admin_of, bodies, collect, messages, settle, whats_there


async def assert_twin_letters_stay(broker: Any) -> None:
    """Hold it of a started broker on which nothing is: one letter died twice, another is queued again."""
    admin = admin_of(broker)
    async with broker.subscribe(["default"]) as subscription:
        twice, again = messages(2)
        for sent in ([twice, again], [twice]):
            await broker.kick_many(sent)
            await settle(subscription, await collect(subscription, len(sent)), Verdict.REJECT, reason="no")
        await broker.kick_many([again])
        letters = await admin.dead_letters()
        assert len(letters) == 3
        assert await admin.requeue_dead([letter.id for letter in letters]) == 1
        assert [letter.id for letter in await admin.dead_letters()] == [letter.id for letter in letters[1:]]
    assert bodies(await whats_there(broker)) == bodies([twice, again])
