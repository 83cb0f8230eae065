"""Dead letters in Redis: pages, queues, and how they expire."""

from collections.abc import Generator

import pytest
from redis import Redis
from support.redis_servers import shared_redis
from support.redis_traffic import message, started

from taskiq_core.abc.queue_admin import QueueAdmin
from taskiq_core.delivery import Settlement, Verdict
from taskiq_core.exceptions import ConfigurationError
from taskiq_core.message import BrokerMessage
from taskiq_core_brokers_redis import RedisBroker

pytestmark = pytest.mark.anyio


@pytest.fixture
def client() -> Generator[Redis]:
    with shared_redis().client() as client:
        yield client


def admin_of(broker: RedisBroker) -> QueueAdmin:
    assert broker.admin is not None
    return broker.admin


async def reject(broker: RedisBroker, *messages: BrokerMessage, detail: bytes | None = None) -> None:
    """Send messages of one queue, and have them die."""
    await broker.kick_many(messages)
    left = len(messages)
    async with broker.subscribe([messages[0].queue or "default"]) as subscription:
        while left:
            taken = await subscription.receive(left)
            await subscription.settle([Settlement(item, Verdict.REJECT, reason="bad", detail=detail) for item in taken])
            left -= len(taken)


def plant(client: Redis, prefix: str, *entries: str) -> None:
    """Letters that died long ago."""
    for entry in entries:
        fields = {"b": "old", "i": f"task-{entry}", "q": "default", "r": "bad", "a": "1", "l": "5"}
        client.xadd(f"{{{prefix}}}:dead", fields, id=entry)


async def test_letters_of_one_queue_are_found_among_many_of_another(redis_url: str, redis_prefix: str) -> None:
    async with started(RedisBroker(redis_url, prefix=redis_prefix)) as broker:
        for part in range(3):
            await reject(broker, BrokerMessage(f"rare-{part}", "t", b"body", queue="rare"))
            await reject(broker, *[message(f"id-{part}-{number}") for number in range(130)])
        admin = admin_of(broker)
        everything = await admin.dead_letters(limit=1000)
        assert len(everything) == 393
        rare = await admin.dead_letters(queue="rare")
        assert [letter.task_id for letter in rare] == ["rare-2", "rare-1", "rare-0"]
        assert [letter.task_id for letter in await admin.dead_letters(queue="rare", limit=2)] == ["rare-2", "rare-1"]
        page = await admin.dead_letters(queue="rare", limit=2, before=rare[0].id)
        assert [letter.task_id for letter in page] == ["rare-1", "rare-0"]
        assert len(await admin.dead_letters(queue="default", limit=1000)) == 390
        assert await admin.dead_letters(before="no such letter") == []
        assert await admin.dead_letters(queue="default", before=everything[-1].id) == []


@pytest.mark.parametrize("detail", [None, b"", b"\xff detail"])
async def test_details_are_kept_as_they_are(redis_url: str, redis_prefix: str, detail: bytes | None) -> None:
    async with started(RedisBroker(redis_url, prefix=redis_prefix)) as broker:
        await reject(broker, message("id"), detail=detail)
        (letter,) = await admin_of(broker).dead_letters()
        assert (letter.detail, letter.task_id) == (detail, "id")
        assert await admin_of(broker).find_dead(["1-1", letter.id, "nonsense"]) == [letter]


async def test_old_letters_go_when_another_dies(redis_url: str, redis_prefix: str, client: Redis) -> None:
    plant(client, redis_prefix, "1-1", "1-2", "2-0")
    async with started(RedisBroker(redis_url, prefix=redis_prefix, dead_ttl=3600)) as broker:
        await reject(broker, message("id"))
        assert client.xlen(f"{{{redis_prefix}}}:dead") == 1


async def test_old_letters_are_neither_listed_nor_sent_again(redis_url: str, redis_prefix: str, client: Redis) -> None:
    async with started(RedisBroker(redis_url, prefix=redis_prefix, dead_ttl=3600)) as broker:
        admin = admin_of(broker)
        plant(client, redis_prefix, "1-1")
        assert await admin.dead_letters() == []
        plant(client, redis_prefix, "1-2")
        assert await admin.find_dead(["1-2"]) == []
        plant(client, redis_prefix, "1-3")
        assert await admin.requeue_dead(["1-3"]) == 0
    async with started(RedisBroker(redis_url, prefix=redis_prefix)) as broker:  # letters of this one are kept for ever
        plant(client, redis_prefix, "1-4")
        await reject(broker, message("id"))
        assert [letter.task_id for letter in await admin_of(broker).dead_letters()] == ["id", "task-1-4"]


async def test_letters_are_purged_by_age(redis_url: str, redis_prefix: str, client: Redis) -> None:
    plant(client, redis_prefix, "1-1", "1-2", "2-0")
    async with started(RedisBroker(redis_url, prefix=redis_prefix)) as broker:
        await reject(broker, message("id"))
        admin = admin_of(broker)
        (young, *_) = await admin.dead_letters()
        assert await admin.purge_dead(["1-1", young.id], older_than=3600) == 1
        assert await admin.purge_dead(older_than=10**12) == 0
        assert await admin.purge_dead(older_than=3600) == 2
        assert await admin.dead_letters() == [young]


async def test_hundreds_are_sent_again_some_with_new_bodies(redis_url: str, redis_prefix: str) -> None:
    async with started(RedisBroker(redis_url, prefix=redis_prefix)) as broker:
        await reject(broker, *[message(f"id-{number}") for number in range(250)])
        admin = admin_of(broker)
        ids = [letter.id for letter in await admin.dead_letters(limit=250)]
        assert await admin.requeue_dead(ids, {ids[0]: b"new", ids[-1]: b""}) == 250
        assert await admin.dead_letters() == []
        bodies: set[bytes] = set()
        async with broker.subscribe(["default"]) as subscription:
            while len(bodies) < 250:
                bodies |= {item.body for item in await subscription.receive(250)}
        assert bodies == {b"new", b"", *[b"id-%d " % number for number in range(1, 249)]}


@pytest.mark.parametrize("option", ["0", "-1", "never"])
def test_a_wrong_time_to_live_is_refused(option: str) -> None:
    with pytest.raises(ConfigurationError, match="dead_ttl is a positive number of seconds"):
        RedisBroker.from_url(f"redis://jobs?dead_ttl={option}")
