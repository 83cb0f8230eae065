"""Messages that somebody else has written to our subjects: they are dealt with, and nothing else suffers from them."""

from collections.abc import Sequence

import anyio
import pytest

from taskiq_core.delivery import Delivery, Verdict
from taskiq_core.testing.broker_tools import admin_of, bodies, collect, messages, settle, whats_there
from taskiq_core_brokers_nats import NatsBroker

pytestmark = pytest.mark.anyio

ODD = (
    ("q.default.5.attempts", b"Taskiq-Attempts: many"),
    ("q.default.5.deaths", "Taskiq-Deaths: ³".encode()),
    ("q.default.5.delay", b"Taskiq-Delay: 1e9"),
    ("q.default.5.digits", b"Taskiq-Delay: " + b"9" * 400),
    ("q.default.5.name", b"\xff\xfe-Taskiq-: \xff"),
    ("q.default.5.=!a", b""),
    ("q.default.5.=__", b""),
    ("q.default.5.b\udcff", b""),
    ("d.default.high.late", b"Taskiq-Delay: soon"),
)
REJECTED = (("q.default.5.detail", "Taskiq-Reason: odd\r\nTaskiq-Detail: é=".encode()),)
STATE = ("s.paused", "s.level.default.high", "s.level.default", "s.level.=!a.5", "s.x", "x.letter", "x.a.=!a")


@pytest.fixture
async def broker(nats_url: str, nats_prefix: str):
    async with NatsBroker(nats_url, prefix=nats_prefix, lease=20.0) as broker:
        yield broker


async def write(broker: NatsBroker, subject: str, fields: bytes) -> None:
    headers = b"NATS/1.0\r\n%b\r\n\r\n" % fields if fields else b""
    answer = await broker._connection.request(f"{broker.location.prefix}.{subject}", subject.encode(errors="replace"), headers)
    assert b'"seq"' in answer.data


def innocent(taken: Sequence[Delivery]) -> set[tuple[int, int]]:
    return {(item.attempt, item.deaths) for item in taken}


async def test_they_are_received_and_dead_lettered_like_any_bytes(broker: NatsBroker) -> None:
    ours = messages(3)
    await broker.kick_many([ours[0], *messages(1, delay=60)])
    for odd in (*ODD, *REJECTED):
        await write(broker, *odd)
    await broker.kick_many(ours[1:])
    expected = sorted([*(item.message for item in ours), *(subject.encode(errors="replace") for subject, _ in ODD)])
    async with broker.subscribe(["default"]) as subscription:
        taken = await collect(subscription, len(expected))
        assert (bodies(taken), innocent(taken)) == (expected, {(1, 0)})
        await settle(subscription, taken, Verdict.RETRY)
        again = await collect(subscription, len(expected))
        assert (bodies(again), innocent(again)) == (expected, {(2, 0)})
        await settle(subscription, again, Verdict.REJECT, reason="not ours")
    assert await whats_there(broker) == []
    letters = await admin_of(broker).dead_letters()
    assert sorted(letter.body for letter in letters) == sorted([*expected, REJECTED[0][0].encode()])
    assert await admin_of(broker).requeue_dead([letter.id for letter in letters]) == len(letters)


async def test_what_is_written_to_the_other_streams_is_passed_over(broker: NatsBroker) -> None:
    for subject in STATE:
        await write(broker, subject, b"Taskiq-Priority: high\r\nTaskiq-Attempts: -")
    sent = messages(2)
    await broker.kick_many(sent)
    assert bodies(await whats_there(broker)) == bodies(sent)
    assert await admin_of(broker).paused() == frozenset()
    assert len(await admin_of(broker).dead_letters()) == 2


async def test_while_a_worker_listens(broker: NatsBroker) -> None:
    async with broker.subscribe(["default"]) as subscription:
        for subject in STATE:
            await write(broker, subject, b"")
        link = await broker._connection.usable()
        link.write(b"PUB %b.bell.claims 3\r\nodd\r\n" % broker.location.prefix.encode())
        sent = messages(1)
        await broker.kick_many(sent)
        with anyio.fail_after(10):
            assert bodies(await collect(subscription, 1)) == bodies(sent)
