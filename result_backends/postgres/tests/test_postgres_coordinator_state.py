"""What the coordinator keeps in PostgreSQL, and for how long."""

import math

import pytest
from support.postgres_servers import shared_postgres

from taskiq_core.abc.coordinator import AdmissionRequest, Claim, RateLimit, SlotLimit
from taskiq_core_brokers_postgres import Database
from taskiq_core_brokers_postgres.expiry import expire
from taskiq_core_brokers_postgres.schema import EXPIRING
from taskiq_core_result_backends_postgres import PostgresResultBackend

pytestmark = pytest.mark.anyio

TABLES = ("claims", "counters", "stored_values", "slots", "times", "joins", "arrivals")


def kept(schema: str) -> dict[str, int]:
    """Rows by table, where there are any."""
    counts = {name: shared_postgres().ask(f"SELECT count(*) FROM {schema}.{name}")[0][0] for name in TABLES}
    return {name: count for name, count in counts.items() if count}


def within(*rates: RateLimit, booked: bool = False) -> AdmissionRequest:
    return AdmissionRequest("somebody", 60, rates=rates, booked=booked)


async def fill(backend: PostgresResultBackend, ttl: float) -> None:
    await backend.claim([Claim("k", "me", ttl)])
    await backend.admit([AdmissionRequest("me", ttl, [SlotLimit("k", 1)], [RateLimit("k", 1, 0.001, 0.001)])])
    await backend.put({"k": b"1"}, ttl)
    await backend.add({"k": 1}, ttl)
    await backend.arrive("k", ["me", "you"], 3, ttl)


async def test_what_has_expired_leaves_nothing_behind(backend: PostgresResultBackend, postgres_schema: str) -> None:
    await fill(backend, 0.001)
    assert kept(postgres_schema).keys() == set(TABLES)
    database = Database(backend.location, 5.0)
    for table in EXPIRING:
        await expire(database, table)
    await database.close()
    assert kept(postgres_schema) == {}


async def test_what_lives_stays(backend: PostgresResultBackend, postgres_schema: str) -> None:
    await fill(backend, 60)
    await backend.put({"for ever": b"1"})
    database = Database(backend.location, 5.0)
    for table in EXPIRING:
        await expire(database, table)
    await database.close()
    assert kept(postgres_schema) == {"claims": 1, "counters": 1, "stored_values": 2, "slots": 1, "joins": 1, "arrivals": 2}


async def test_counters_have_64_bits(backend: PostgresResultBackend) -> None:
    assert await backend.add({"k": 2**62 + 1, "other": -(2**62) - 1}, 60) == {"k": 2**62 + 1, "other": -(2**62) - 1}
    assert await backend.add({"k": 1}, 60) == {"k": 2**62 + 2}


async def test_a_clock_that_is_set_back_blocks_nobody(backend: PostgresResultBackend, postgres_schema: str) -> None:
    """As another server's may be that takes over: what it knows of the future counts as of now."""
    rate = RateLimit("k", 2, 60, 60)
    await backend.admit([within(rate)] * 5)
    shared_postgres().ask(f"UPDATE {postgres_schema}.times SET at = at + 3600, expires = expires + 3600")
    answers = await backend.admit([within(rate)] * 3)
    assert all(50 < answer.wait <= 61.01 for answer in answers[:2]), answers
    assert 110 < answers[2].wait <= 121.01


async def test_a_complete_join_forgets_its_members(backend: PostgresResultBackend, postgres_schema: str) -> None:
    members = [str(number) for number in range(5000)]
    assert not await backend.arrive("k", members[1:], 5000, 60)
    assert kept(postgres_schema) == {"joins": 1, "arrivals": 4999}
    assert await backend.arrive("k", members[:1], 5000, 60)
    assert kept(postgres_schema) == {"joins": 1}
    assert not await backend.arrive("k", members, 5000, 600)
    assert kept(postgres_schema) == {"joins": 1}


@pytest.mark.parametrize("ttl", [0.0, -1.0, 0.0001, 1e12, math.inf])
async def test_every_time_to_live_can_be_kept(backend: PostgresResultBackend, ttl: float) -> None:
    assert await backend.claim([Claim("k", "me", ttl)]) == [True]
    assert (await backend.admit([AdmissionRequest("me", ttl, [SlotLimit("k", 1)])]))[0].granted
    await backend.put({"k": b"1"}, ttl)
    assert await backend.add({"k": 1}, ttl) == {"k": 1}
    assert not await backend.arrive("k", ["me"], 2, ttl)


async def test_many_keys_in_one_batch_need_few_locks(backend: PostgresResultBackend) -> None:
    """The server's table of locks has some thousand places for all its clients."""
    keys = [f"k{number}" for number in range(10_000)]
    assert all(await backend.claim([Claim(key, "me", 60) for key in keys]))
    await backend.forget(keys)
