"""Parked messages in Redis: nothing is left of them, nothing is lost, and no step is long."""

import asyncio
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, suppress

import anyio
import pytest
from redis import Redis
from support.processes import DEADLINE
from support.redis_fixtures import StartRedis
from support.redis_servers import shared_redis
from support.redis_traffic import drain, id_of, message, started

from taskiq_core.abc.queue_admin import QueueAdmin, QueueDepth
from taskiq_core.abc.subscription import Subscription
from taskiq_core.delivery import Settlement, Verdict
from taskiq_core.exceptions import BrokerError
from taskiq_core_brokers_redis import RedisBroker
from taskiq_core_brokers_redis.parking import _UNPARK  # pyright: ignore[reportPrivateUsage]

pytestmark = pytest.mark.anyio

LONG = 3600.0


@pytest.fixture
def client() -> Generator[Redis]:
    with shared_redis().client() as client:
        yield client


@asynccontextmanager
async def parking(url: str, prefix: str) -> AsyncGenerator[tuple[RedisBroker, Subscription, QueueAdmin]]:
    async with started(RedisBroker(url, prefix=prefix)) as broker, broker.subscribe(["default"]) as subscription:
        assert broker.admin is not None
        yield broker, subscription, broker.admin


async def park(
    broker: RedisBroker, subscription: Subscription, count: int, *, text: str = "a slot", delay: float = LONG, first: int = 0
) -> list[str]:
    """Park messages in the order of their numbers; returns their ids."""
    ids = [f"id-{first + number}" for number in range(count)]
    await broker.kick_many([message(item) for item in ids])
    left = count
    while left:
        taken = await subscription.receive(left)
        await subscription.settle([Settlement(item, Verdict.RELEASE, delay, park=text) for item in taken])
        left -= len(taken)
    return ids


def keys_below(client: Redis, prefix: str) -> set[str]:
    """What there is, without the prefix, of all that could be left of a message."""
    names = {name.removeprefix(f"{{{prefix}}}:") for name in client.scan_iter(f"{{{prefix}}}:*")}
    return {name for name in names if name.startswith("parked") or name == "ids" or name.endswith((":due", ":later"))}


@pytest.mark.parametrize("way", ["purge", "discard", "unpark", "unpark_all", "due"])
async def test_no_keys_are_left_of_parked_messages(way: str, redis_url: str, redis_prefix: str, client: Redis) -> None:
    async with parking(redis_url, redis_prefix) as (broker, subscription, admin):
        ids = await park(broker, subscription, 3, delay=0.01 if way == "due" else LONG)
        if way != "due":
            assert {"parked", "parked:a slot", "ids"} < keys_below(client, redis_prefix)
        if way == "purge":
            assert await admin.purge("default") == 3
        elif way == "discard":
            assert await admin.discard(ids) == set(ids)
        elif way == "unpark":
            await subscription.unpark({"a slot": 2, "nothing": 7})
            assert await admin.depth("default") == QueueDepth(ready=2, delayed=1)
            await subscription.unpark({"a slot": 10**20})
        elif way == "unpark_all":
            assert await admin.unpark_all("a ") == 3
        if way not in {"purge", "discard"}:
            assert sorted(await drain(subscription, ids)) == ids
        assert keys_below(client, redis_prefix) == set()


async def test_many_are_unparked_in_small_steps_and_in_order(redis_url: str, redis_prefix: str) -> None:
    async with parking(redis_url, redis_prefix) as (broker, subscription, admin):
        ids = await park(broker, subscription, 10_000)
        root = broker.location.root
        woken, rest = await broker._commands.run(_UNPARK, root, "", "a slot", 10**15)
        assert (woken, rest) == (500, [b"a slot", 9500])
        (again,) = await subscription.receive(1)
        await subscription.settle([Settlement(again, Verdict.RELEASE, LONG, park="a slot")])
        woken, rest = await broker._commands.run(_UNPARK, root, "", *rest)
        assert (woken, rest) == (500, [b"a slot", 9000]), "whoever is parked in the meantime has no part in it"
        assert await admin.unpark_all("a") == 9001
        assert await drain(subscription, ids) == [*ids[1:], ids[0]]


async def test_unparking_by_prefix_spares_the_others(redis_url: str, redis_prefix: str) -> None:
    texts = ["limit:ключ ☃", "limit:ключ *", "limit:", "limit;", "limit", "limit:к"]
    async with parking(redis_url, redis_prefix) as (broker, subscription, admin):
        for number, text in enumerate(texts):
            await park(broker, subscription, 1, text=text, first=number)
        assert await admin.unpark_all("limit:ключ") == 2
        assert await drain(subscription, ["id-0", "id-1"]) == ["id-1", "id-0"]
        assert await admin.unpark_all("limit:") == 2
        assert await admin.unpark_all("") == 2
        assert await admin.unpark_all("") == 0


async def test_ids_that_wait_no_longer_are_dropped_and_do_not_count(redis_url: str, redis_prefix: str, client: Redis) -> None:
    async with parking(redis_url, redis_prefix) as (broker, subscription, admin):
        await park(broker, subscription, 2)
        client.delete(f"{{{redis_prefix}}}:q:default:later")  # somebody's mistake
        (other,) = await park(broker, subscription, 1, first=2)
        assert await admin.unpark_all("a slot") == 1
        assert await drain(subscription, [other]) == [other]
        assert client.keys(f"{{{redis_prefix}}}:parked*") == []


async def test_thousands_are_discarded_wherever_they_wait(redis_url: str, redis_prefix: str, client: Redis) -> None:
    async with parking(redis_url, redis_prefix) as (broker, subscription, admin):
        await park(broker, subscription, 700)
        await broker.kick_many([message(f"ready-{n}") for n in range(700)])
        await broker.kick_many([message(f"late-{n}", delay=LONG) for n in range(700)])
        held = [id_of(item.body) for item in await subscription.receive(5)]
        everything = {f"{kind}-{n}" for kind in ("id", "ready", "late") for n in range(700)}
        assert await admin.discard([*everything, "unknown"]) == everything - set(held)
        assert await admin.depth("default") == QueueDepth(leased=5)
        assert await admin.discard(everything) == set()
        assert client.hlen(f"{{{redis_prefix}}}:ids") == 5


async def test_a_full_redis_stops_neither_parking_nor_unparking_nor_discarding(start_redis: StartRedis) -> None:
    server = start_redis("maxmemory-policy noeviction")
    async with parking(server.url, "full") as (broker, subscription, admin):
        await broker.kick_many([message(f"id-{n}", size=1_000_000) for n in range(4)])
        with server.client() as client:
            client.config_set("maxmemory", "2mb")
        taken = await subscription.receive(4)
        await subscription.settle([Settlement(item, Verdict.RELEASE, LONG, park="a slot") for item in taken])
        await subscription.unpark({"a slot": 1})
        assert await admin.unpark_all("a") == 3
        assert await admin.discard(["id-0", "id-1"]) == {"id-0", "id-1"}
        assert sorted(await drain(subscription, ["id-2", "id-3"])) == ["id-2", "id-3"]


async def test_a_server_killed_while_it_unparks_loses_nothing(start_redis: StartRedis) -> None:
    server = start_redis("appendonly yes", "appendfsync always")
    async with parking(server.url, "killed") as (broker, subscription, admin):
        ids = await park(broker, subscription, 3000)
        unparking = asyncio.create_task(admin.unpark_all("a slot"))
        while (await admin.depth("default")).ready == 0:
            pass
        server.kill()
        with suppress(BrokerError):
            await unparking
    server.start()
    async with parking(server.url, "killed") as (broker, subscription, admin):
        with anyio.fail_after(DEADLINE):
            await admin.unpark_all("a slot")
            assert sorted(await drain(subscription, ids)) == sorted(ids)
