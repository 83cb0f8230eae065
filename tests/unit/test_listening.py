"""The adapter for classic brokers, over a small queue that counts what became of each message."""

import logging
from collections import deque
from collections.abc import AsyncGenerator
from typing import Any

import anyio
import pytest
from support.classic_queue import Queue

from taskiq_core.delivery import Delivery, Settlement, Verdict
from taskiq_core.exceptions import BrokerError
from taskiq_core.listening import ListeningSubscription

pytestmark = pytest.mark.anyio


async def take(subscription: ListeningSubscription, count: int) -> list[Delivery]:
    taken: list[Delivery] = []
    with anyio.fail_after(5):
        while len(taken) < count:
            taken += await subscription.receive(count - len(taken))
    return taken


def verdict(delivery: Delivery, which: Verdict, **more: Any) -> Settlement:
    return Settlement(delivery, which, **more)


async def test_receive_returns_what_is_there_and_no_more_than_asked() -> None:
    queue = Queue(*(b"%d" % n for n in range(10)))
    async with queue.subscription() as sub:
        assert [d.body for d in await sub.receive(4)] == [b"0", b"1", b"2", b"3"]
        assert len(queue.taken) <= 5, "one ahead at most"
        assert [d.body for d in await take(sub, 6)] == [b"%d" % n for n in range(4, 10)]
        with anyio.move_on_after(0.01):
            await sub.receive(1)
            pytest.fail("there was nothing to receive")


async def test_receive_waits_for_the_first() -> None:
    queue = Queue()
    async with queue.subscription() as sub, anyio.create_task_group() as tg:
        got: list[Any] = []

        async def receive() -> None:
            got.append(await sub.receive(5))

        tg.start_soon(receive)
        with anyio.fail_after(5):
            while not queue.opened:
                await anyio.lowlevel.checkpoint()
        assert got == []
        queue.put(b"a")
    assert [d.body for d in got[0]] == [b"a"]


async def test_a_cancelled_receive_loses_nothing() -> None:
    queue = Queue()
    async with queue.subscription() as sub:
        for n in range(20):
            async with anyio.create_task_group() as tg:
                tg.start_soon(sub.receive, 1)
                await anyio.lowlevel.checkpoint()
                queue.put(b"%d" % n)
                tg.cancel_scope.cancel()
        rest = await take(sub, 20 - len(sub._unsettled))
        assert len(sub._unsettled) == 20
        assert {d.body for d in rest} <= {b"%d" % n for n in range(20)}


@pytest.mark.parametrize("nack", [False, True])
async def test_ack(nack: bool) -> None:
    queue = Queue(b"a", nack=nack)
    async with queue.subscription() as sub:
        (delivery,) = await take(sub, 1)
        for _ in range(2):  # repeating a batch changes nothing
            await sub.settle([verdict(delivery, Verdict.ACK)])
    assert (queue.acked, queue.nacked, queue.sent) == ([b"a"], [], [])


async def test_bare_bytes_need_no_ack_and_are_sent_again_to_be_released() -> None:
    queue = Queue(b"a", b"b", ackable=False)
    async with queue.subscription() as sub:
        first, second = await take(sub, 2)
        await sub.settle([verdict(first, Verdict.ACK), verdict(second, Verdict.RELEASE)])
        assert [d.body for d in await take(sub, 1)] == [b"b"]
        await sub.settle([])
    assert queue.sent == [(b"b", None), (b"b", None)], "once released, once given back on leaving"


async def test_release_uses_nack_where_there_is_one_else_sends_again() -> None:
    for nack in (True, False):
        queue = Queue(b"a", nack=nack)
        async with queue.subscription() as sub:
            (delivery,) = await take(sub, 1)
            await sub.settle([verdict(delivery, Verdict.RELEASE)])
            outcome = (queue.nacked, queue.sent, queue.acked)
        assert outcome == (([(b"a", True)], [], []) if nack else ([], [(b"a", None)], [b"a"]))


async def test_reject_uses_nack_where_there_is_one_else_acks_and_says_so(caplog: pytest.LogCaptureFixture) -> None:
    for nack in (True, False):
        queue = Queue(b"a", nack=nack)
        async with queue.subscription() as sub:
            (delivery,) = await take(sub, 1)
            await sub.settle([verdict(delivery, Verdict.REJECT, reason="it is garbage")])
        assert (queue.nacked, queue.acked) == (([(b"a", False)], []) if nack else ([], [b"a"]))
    assert "it is garbage" in caplog.text


async def test_a_dropped_message_is_not_shown(caplog: pytest.LogCaptureFixture) -> None:
    queue = Queue(b"secret", nack=False)
    async with queue.subscription() as sub:
        (delivery,) = await take(sub, 1)
        await sub.settle([verdict(delivery, Verdict.REJECT, reason="it is garbage")])
    assert "6 bytes" in caplog.text
    assert "secret" not in caplog.text


@pytest.mark.parametrize("ackable", [False, True])
async def test_what_is_forgotten_is_given_back_on_leaving_if_it_could_be_acked(ackable: bool) -> None:
    queue = Queue(b"a", b"b", ackable=ackable, nack=True)
    async with queue.subscription() as sub:
        deliveries = await take(sub, 2)
        sub.forget(deliveries)
        assert len(sub._unsettled) == (2 if ackable else 0)
        await sub.settle([verdict(deliveries[0], Verdict.ACK)])  # a task may still do it, late
    assert (queue.acked, queue.nacked, queue.sent) == (([b"a"], [(b"b", True)], []) if ackable else ([], [], []))


@pytest.mark.parametrize("nack", [False, True])
async def test_a_retry_without_delay_is_sent_with_its_new_body_before_the_old_is_acked(nack: bool) -> None:
    queue = Queue(b"a", nack=nack)
    async with queue.subscription() as sub:
        (delivery,) = await take(sub, 1)
        await sub.settle([verdict(delivery, Verdict.RETRY, body=b"a2")])
        assert (queue.sent, queue.acked, queue.nacked) == ([(b"a2", None)], [b"a"], [])


async def test_a_delayed_retry_waits_here_unacked_and_goes_out_when_due() -> None:
    queue = Queue(b"a", b"b")
    async with queue.subscription() as sub:
        first, second = await take(sub, 2)
        before = anyio.current_time()
        await sub.settle([verdict(first, Verdict.RETRY, body=b"a2", delay=0.1), verdict(second, Verdict.RELEASE, delay=0.05)])
        assert (queue.sent, queue.acked) == ([], [])
        assert [d.body for d in await take(sub, 2)] == [b"b", b"a2"]
        assert anyio.current_time() - before >= 0.1
        assert queue.acked == [b"b", b"a"]


async def test_a_broker_with_delays_of_its_own_gets_them() -> None:
    queue = Queue(b"a")
    async with queue.subscription(delays=True) as sub:
        (delivery,) = await take(sub, 1)
        await sub.settle([verdict(delivery, Verdict.RETRY, body=b"a2", delay=60)])
        assert (queue.sent, queue.acked) == ([(b"a2", 60)], [b"a"])


async def test_leaving_gives_back_what_waits_what_is_unsettled_and_what_nobody_received() -> None:
    queue = Queue(b"a", b"b")
    async with queue.subscription() as sub:
        first, _ = await take(sub, 2)
        await sub.settle([verdict(first, Verdict.RETRY, body=b"a2", delay=3600)])
        with anyio.move_on_after(0.2):  # so that the plugin is asked for more
            await sub.receive(1)
        queue.put(b"c")
        with anyio.fail_after(5):
            while not sub._ready:
                await anyio.lowlevel.checkpoint()
    assert sorted(body for body, _ in queue.sent) == [b"a2", b"b", b"c"]
    assert sorted(queue.acked) == [b"a", b"b", b"c"]
    assert (queue.opened, queue.closed) == (1, 1)


async def test_leaving_by_cancellation_gives_back_too() -> None:
    queue = Queue(b"a", b"b", nack=True)
    with anyio.CancelScope() as scope:
        async with queue.subscription() as sub:
            await take(sub, 2)
            scope.cancel()
            await anyio.lowlevel.checkpoint()
    assert scope.cancelled_caught
    assert sorted(queue.nacked) == [(b"a", True), (b"b", True)]
    assert queue.closed == 1


async def test_an_error_of_the_worker_comes_out_as_it_is() -> None:
    queue = Queue(b"a")
    with pytest.raises(KeyError):
        async with queue.subscription() as sub:
            await take(sub, 1)
            raise KeyError("x")
    assert queue.sent == [(b"a", None)]


async def test_what_cannot_be_given_back_is_said(caplog: pytest.LogCaptureFixture) -> None:
    queue = Queue(b"a", b"b")
    async with queue.subscription() as sub:
        await take(sub, 2)
        queue.send_trouble = ConnectionError("gone")
    assert "2 messages could not be given back" in caplog.text


async def test_listening_is_taken_up_again_after_trouble_and_said_once(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("taskiq_core.listening._FIRST_PAUSE", 0.001)
    queue = Queue()
    queue.trouble = ConnectionError("the server is gone")
    with caplog.at_level(logging.INFO, "taskiq.listening"):
        async with queue.subscription() as sub:
            with anyio.fail_after(5):
                while queue.opened < 5:
                    await anyio.sleep(0.001)
            queue.trouble = None
            queue.put(b"a")
            assert [d.body for d in await take(sub, 1)] == [b"a"]
    assert caplog.text.count("listen() failed") == 1
    assert caplog.text.count("works again") == 1
    assert queue.opened == queue.closed


async def test_listening_that_ends_is_taken_up_again() -> None:
    queue = Queue()
    bodies = deque([b"a", b"b"])

    async def listen() -> AsyncGenerator[bytes, None]:
        if bodies:
            yield bodies.popleft()

    async with ListeningSubscription(listen, queue.resend) as sub:
        taken = await take(sub, 2)
        assert [d.body for d in taken] == [b"a", b"b"]
        await sub.settle([verdict(d, Verdict.ACK) for d in taken])


async def test_one_message_that_cannot_be_settled_does_not_hold_up_the_others() -> None:
    queue = Queue(b"a", b"b")
    async with queue.subscription() as sub:
        first, second = await take(sub, 2)
        batch = [verdict(first, Verdict.RETRY, body=b"a2"), verdict(second, Verdict.ACK)]
        queue.send_trouble = ConnectionError("gone")
        with pytest.raises(BrokerError, match=r"1 of 2 .*gone"):
            await sub.settle(batch)
        assert (queue.sent, queue.acked) == ([], [b"b"])
        queue.send_trouble = None
        await sub.settle(batch)
        assert (queue.sent, queue.acked) == ([(b"a2", None)], [b"b", b"a"])


async def test_a_repeated_settle_does_not_send_twice() -> None:
    queue = Queue(b"a")
    async with queue.subscription() as sub:
        (delivery,) = await take(sub, 1)
        queue.ack_trouble = ConnectionError("gone")
        for _ in range(3):
            with pytest.raises(BrokerError):
                await sub.settle([verdict(delivery, Verdict.RETRY, body=b"a2")])
        queue.ack_trouble = None
        await sub.settle([verdict(delivery, Verdict.RETRY, body=b"a2")])
        assert (queue.sent, queue.acked) == ([(b"a2", None)], [b"a"])


async def test_what_is_due_is_tried_until_it_goes_out(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("taskiq_core.listening._PAUSE_WHEN_DUE", 0.005)
    queue = Queue(b"a")
    async with queue.subscription() as sub:
        (delivery,) = await take(sub, 1)
        queue.send_trouble = ConnectionError("gone")
        await sub.settle([verdict(delivery, Verdict.RETRY, body=b"a2", delay=0.001)])
        with anyio.fail_after(5):
            while "gone" not in caplog.text:
                await anyio.sleep(0.001)
        assert queue.acked == []
        queue.send_trouble = None
        assert [d.body for d in await take(sub, 1)] == [b"a2"]
    assert caplog.text.count("trying on") == 1
