"""Laws about dead letters, and about looking into queues."""

from collections.abc import Mapping, Sequence

import anyio

from taskiq_core import clock
from taskiq_core.abc.queue_admin import QueueDepth
from taskiq_core.broker import AsyncBroker
from taskiq_core.capability import Capability
from taskiq_core.dead_bounds import DETAIL_BYTES, REASON_BYTES
from taskiq_core.defaults import DEFAULT_QUEUE
from taskiq_core.delivery import DeadLetter, Delivery, Settlement, Verdict
from taskiq_core.message import BrokerMessage
from taskiq_core.testing.broker_tools import (
    DEFAULT,
    BrokerSuite,
    admin_of,
    bodies,
    claims,
    collect,
    messages,
    settle,
    take_one,
    whats_there,
)
from taskiq_core.testing.suite import law


class DeadLetterLaws(BrokerSuite):
    """Nothing that is rejected vanishes."""

    @law(Capability.DEAD_LETTER)
    async def test_rejected_messages_are_kept_with_their_reason(self, broker: AsyncBroker) -> None:
        """REJECT keeps bytes, queue, reason and time, and delivers the message to nobody any more."""
        sent = messages(1)
        sent[0].message = b"\xff not a message"
        await reject(broker, sent, "cannot be decoded: ☃")
        assert await whats_there(broker) == []
        letters = await admin_of(broker).dead_letters()
        expected = (sent[0].message, DEFAULT_QUEUE, "cannot be decoded: ☃")
        assert [(letter.body, letter.queue, letter.reason) for letter in letters] == [expected]
        assert abs(letters[0].died_at - clock.time()) < 3600, "died_at is in seconds since the epoch"
        assert letters[0].id

    @law(Capability.DEAD_LETTER)
    async def test_dead_letters_tell_what_happened(self, broker: AsyncBroker) -> None:
        """A letter has the task id, the count of deliveries, and what its settlement gave: the detail and a new body."""
        await broker.kick_many(messages(1))
        async with broker.subscribe(DEFAULT) as subscription:
            await settle(subscription, [await take_one(subscription)], Verdict.RETRY)
            taken = await take_one(subscription)
            detail = b"\x00\xff any bytes"
            await settle(subscription, [taken], Verdict.REJECT, reason="bad", detail=detail, body=b"told \xff more")
        (letter,) = await admin_of(broker).dead_letters()
        assert (letter.body, letter.detail, letter.attempts) == (b"told \xff more", detail, 2)
        of_ids = claims(broker, Capability.IDEMPOTENT_SEND)
        assert letter.task_id in ((taken.body.decode(),) if of_ids else ("", taken.body.decode()))
        assert [item.body for item in await self.requeued(broker, [letter.id])] == [b"told \xff more"]
        await reject(broker, messages(1))
        assert [item.detail for item in await admin_of(broker).dead_letters()] == [None]

    @law(Capability.DEAD_LETTER)
    async def test_a_reason_may_hold_a_nul(self, broker: AsyncBroker) -> None:
        """A message is rejected whatever is said of it; a NUL may be replaced, and nothing else."""
        await reject(broker, messages(1), "a NUL \0 within")
        (letter,) = await admin_of(broker).dead_letters()
        assert letter.reason.startswith("a NUL ")
        assert letter.reason.endswith(" within")

    @law(Capability.DEAD_LETTER)
    async def test_however_long_an_error_is_the_message_is_dead_lettered(self, broker: AsyncBroker) -> None:
        """`REASON_BYTES` and `DETAIL_BYTES` are kept whole, of longer ones at least so much, also beside a big body."""
        fits = ("\N{SNOWMAN}" * (REASON_BYTES // 3), bytes(range(256)) * (DETAIL_BYTES // 256))
        for reason, detail in (fits, ("é\n\r" * 100_000, b"\xff\n" * 500_000)):
            await broker.kick_many(messages(1))
            async with broker.subscribe(DEFAULT) as subscription:
                end = Settlement(await take_one(subscription), Verdict.REJECT, reason=reason, detail=detail)
                end.body = bytes(self.big_body)
                await subscription.settle([end])
            assert await whats_there(broker) == []
            letters = await admin_of(broker).dead_letters()
            assert len(letters) == 1
            letter = letters[0]
            assert letter.detail is not None
            assert letter.body == end.body
            assert reason.startswith(letter.reason)
            assert detail.startswith(letter.detail)
            assert len(letter.reason.encode()) >= min(len(reason.encode()), REASON_BYTES - 3)
            assert len(letter.detail) >= min(len(detail), DETAIL_BYTES)
            await admin_of(broker).purge_dead()

    @law(Capability.DEAD_LETTER)
    async def test_dead_letters_are_found_by_id(self, broker: AsyncBroker) -> None:
        """`find_dead` gives the letters in the order asked for, and leaves out what does not exist."""
        await reject(broker, messages(3))
        admin = admin_of(broker)
        one, two, three = await admin.dead_letters()
        await admin.purge_dead([two.id])
        assert await admin.find_dead([three.id, "no such letter", two.id, one.id]) == [three, one]
        assert await admin.find_dead([one.id, three.id]) == [one, three]
        assert not await admin.find_dead([])

    @law(Capability.DEAD_LETTER)
    async def test_dead_letters_are_turned_page_by_page(self, broker: AsyncBroker) -> None:
        """`before` goes on where a page ended, whatever has been purged, requeued or added in the meantime."""
        admin = admin_of(broker)
        await reject(broker, messages(9))
        letters = await admin.dead_letters()
        read = list(await admin.dead_letters(limit=3))
        await reject(broker, messages(2))
        await admin.purge_dead([read[-1].id, letters[4].id])
        await admin.requeue_dead([letters[0].id])
        while page := await admin.dead_letters(limit=2, before=read[-1].id):
            assert len(page) <= 2
            read += page
        assert read == [*letters[:4], *letters[5:]]

    @law(Capability.DEAD_LETTER | Capability.QUEUES)
    async def test_pages_of_one_queue(self, broker: AsyncBroker) -> None:
        """Pages of one queue leave out the others' letters, and none of its own."""
        admin = admin_of(broker)
        for queue in ("one", "two", "one", "two", "one"):
            await reject(broker, messages(2, queue=queue))
        wanted = [letter for letter in await admin.dead_letters() if letter.queue == "one"]
        read = list(await admin.dead_letters(queue="one", limit=2))
        while page := await admin.dead_letters(queue="one", limit=2, before=read[-1].id):
            read += page
        assert (len(wanted), read) == (6, wanted)

    @law(Capability.DEAD_LETTER)
    async def test_dead_letters_are_listed_newest_first(self, broker: AsyncBroker) -> None:
        """The list starts with the last to die, and is no longer than its limit."""
        sent = messages(4)
        for message in sent:
            await reject(broker, [message])
            await anyio.sleep(0.01)  # for stores that count time in milliseconds
        letters = await admin_of(broker).dead_letters()
        assert [letter.body for letter in letters] == [message.message for message in reversed(sent)]
        assert len({letter.id for letter in letters}) == 4
        assert [letter.body for letter in await admin_of(broker).dead_letters(limit=2)] == [sent[3].message, sent[2].message]

    @law(Capability.DEAD_LETTER | Capability.QUEUES)
    async def test_dead_letters_are_listed_by_queue(self, broker: AsyncBroker) -> None:
        """The list of one queue holds what died in it."""
        for queue in ("one", "two"):
            await reject(broker, messages(2, queue=queue))
        letters = await admin_of(broker).dead_letters(queue="two")
        assert [letter.queue for letter in letters] == ["two", "two"]

    @law(Capability.DEAD_LETTER)
    async def test_dead_letters_can_be_requeued(self, broker: AsyncBroker) -> None:
        """A requeued dead letter is delivered as if new and is in the list no more; unknown ids are not counted."""
        sent = messages(3)
        await reject(broker, sent)
        letters = await admin_of(broker).dead_letters()
        again, left = letters[:2], letters[2]
        ids = [letter.id for letter in again]
        assert await admin_of(broker).requeue_dead([*ids, "no such letter"]) == 2
        assert await admin_of(broker).requeue_dead(ids) == 0
        back = await whats_there(broker)
        assert bodies(back) == sorted(letter.body for letter in again)
        assert [item.deaths for item in back] == [0, 0]
        assert [letter.id for letter in await admin_of(broker).dead_letters()] == [left.id]

    @law(Capability.DEAD_LETTER)
    async def test_dead_letters_can_be_requeued_with_new_bodies(self, broker: AsyncBroker) -> None:
        """Those that are given a new body come with it, once; bodies of letters that are not requeued do nothing."""
        admin = admin_of(broker)
        await reject(broker, messages(3))
        first, second, third = await admin.dead_letters()
        bodies_by_id = {first.id: b"mended \xff", third.id: b"nobody's", "no such letter": b"nobody's"}
        back = await self.requeued(broker, [first.id, second.id], bodies_by_id)
        assert bodies(back) == sorted([b"mended \xff", second.body])
        assert await admin.dead_letters() == [third]

    @law(Capability.DEAD_LETTER)
    async def test_old_dead_letters_can_be_purged(self, broker: AsyncBroker) -> None:
        """`older_than` deletes those that died longer ago, of all or of the ids given, and no others."""
        admin = admin_of(broker)
        await reject(broker, messages(3))
        old = await admin.dead_letters()
        assert await admin.purge_dead(older_than=3600) == 0
        assert await admin.purge_dead(ids(old), older_than=3600) == 0
        await anyio.sleep(1.5)
        await reject(broker, messages(1))
        fresh = (await admin.dead_letters())[0]
        between = (old[0].died_at + fresh.died_at) / 2
        assert await admin.purge_dead([old[0].id, fresh.id], older_than=clock.time() - between) == 1
        assert await admin.purge_dead(older_than=clock.time() - between) == 2
        assert await admin.dead_letters() == [fresh]

    @law(Capability.DEAD_LETTER)
    async def test_dead_letters_can_be_purged(self, broker: AsyncBroker) -> None:
        """Some dead letters, or all, can be deleted; the answer is how many there were."""
        await reject(broker, messages(4))
        letters = await admin_of(broker).dead_letters()
        assert await admin_of(broker).purge_dead([letters[0].id, letters[1].id, "no such letter"]) == 2
        assert ids(await admin_of(broker).dead_letters()) == ids(letters[2:])
        assert await admin_of(broker).purge_dead() == 2
        assert not await admin_of(broker).dead_letters()
        assert await whats_there(broker) == []

    @law(Capability.DEAD_LETTER)
    async def test_rejecting_twice_makes_one_dead_letter(self, broker: AsyncBroker) -> None:
        """A REJECT that is sent again, as after an error, changes nothing."""
        await broker.kick_many(messages(1))
        async with broker.subscribe(DEFAULT) as subscription:
            batch = [Settlement(await take_one(subscription), Verdict.REJECT, reason="bad")]
            await subscription.settle(batch)
            await subscription.settle(batch)
        assert len(await admin_of(broker).dead_letters()) == 1

    @law(Capability.DEAD_LETTER)
    async def test_depth_counts(self, broker: AsyncBroker) -> None:
        """The depth of a queue counts what is ready and what workers hold; an unknown queue is empty."""
        admin = admin_of(broker)
        assert await admin.depth("nobody-knows-it") == QueueDepth()
        await broker.kick_many(messages(5))
        assert await admin.depth(DEFAULT_QUEUE) == QueueDepth(ready=5)
        async with broker.subscribe(DEFAULT) as subscription:
            held = await collect(subscription, 2)
            depth = await admin.depth(DEFAULT_QUEUE)
            assert (depth.ready, depth.leased) == (3, 2)
            await settle(subscription, held)
        assert await admin.depth(DEFAULT_QUEUE) == QueueDepth(ready=3)

    @law(Capability.DEAD_LETTER | Capability.DELAY)
    async def test_depth_counts_the_delayed(self, broker: AsyncBroker) -> None:
        """Messages that are not due are counted apart, and purged with the others."""
        await broker.kick_many([*messages(2, delay=60), *messages(1)])
        assert await admin_of(broker).depth(DEFAULT_QUEUE) == QueueDepth(ready=1, delayed=2)
        assert await admin_of(broker).purge(DEFAULT_QUEUE) == 3
        assert await admin_of(broker).depth(DEFAULT_QUEUE) == QueueDepth()

    @law(Capability.DEAD_LETTER)
    async def test_purging_spares_what_workers_hold(self, broker: AsyncBroker) -> None:
        """`purge` deletes what waits, tells how much, and leaves deliveries to their holders."""
        await broker.kick_many(messages(5))
        async with broker.subscribe(DEFAULT) as subscription:
            held = await collect(subscription, 2)
            assert await admin_of(broker).purge(DEFAULT_QUEUE) == 3
        assert bodies(await whats_there(broker)) == bodies(held)

    async def requeued(
        self, broker: AsyncBroker, letters: Sequence[str], new: Mapping[str, bytes] | None = None
    ) -> list[Delivery]:
        """Requeue dead letters, and take what is there then."""
        assert await admin_of(broker).requeue_dead(letters, new) == len(letters)
        return await whats_there(broker)


async def reject(broker: AsyncBroker, sent: list[BrokerMessage], reason: str = "bad") -> None:
    """Send messages into one queue and reject them."""
    await broker.kick_many(sent)
    async with broker.subscribe([sent[0].queue or DEFAULT_QUEUE]) as subscription:
        await settle(subscription, await collect(subscription, len(sent)), Verdict.REJECT, reason=reason)


def ids(letters: Sequence[DeadLetter]) -> list[str]:
    """Their ids, sorted."""
    return sorted(letter.id for letter in letters)
