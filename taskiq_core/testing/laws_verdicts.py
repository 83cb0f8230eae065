"""Laws about settling."""

import random
from typing import Any

import anyio
import anyio.lowlevel

from taskiq_core.abc.queue_admin import QueueAdmin, QueueDepth
from taskiq_core.abc.result_backend import AsyncResultBackend
from taskiq_core.broker import AsyncBroker
from taskiq_core.capability import Capability
from taskiq_core.defaults import DEFAULT_QUEUE
from taskiq_core.delivery import Settlement, StoredResult, Verdict
from taskiq_core.result import TaskiqResult
from taskiq_core.result_backends.inmemory import InMemoryResultBackend
from taskiq_core.testing.broker_tools import (
    DEFAULT,
    SLACK,
    BrokerSuite,
    admin_of,
    bodies,
    collect,
    messages,
    nothing_comes,
    settle,
    take_one,
    whats_there,
)
from taskiq_core.testing.suite import law


class VerdictLaws(BrokerSuite):
    """Every verdict does what it says, once."""

    @law()
    async def test_ack_removes(self, broker: AsyncBroker) -> None:
        """An acknowledged message is gone for everybody, also after its holder has left."""
        await broker.kick_many(messages(5))
        async with broker.subscribe(DEFAULT) as subscription:
            await settle(subscription, await collect(subscription, 5))
            await settle(subscription, [])
            await nothing_comes(subscription)
        assert await whats_there(broker) == []

    @law(Capability.ACK)
    async def test_release_gives_back_at_once(self, broker: AsyncBroker) -> None:
        """RELEASE delivers the same body again at once and says nothing against the task."""
        sent = messages(3)
        await broker.kick_many(sent)
        async with broker.subscribe(DEFAULT) as subscription:
            await settle(subscription, await collect(subscription, 3), Verdict.RELEASE)
            back = await collect(subscription, 3)
            assert bodies(back) == bodies(sent)
            assert [item.deaths for item in back] == [0, 0, 0]
            await settle(subscription, back)
        assert await whats_there(broker) == []

    @law(Capability.ACK)
    async def test_retry_delivers_the_new_body(self, broker: AsyncBroker) -> None:
        """RETRY and RELEASE with a body replace the message; without one they leave it as it is."""
        for verdict in (Verdict.RETRY, Verdict.RELEASE):
            sent = messages(2)
            await broker.kick_many(sent)
            async with broker.subscribe(DEFAULT) as subscription:
                first, second = await collect(subscription, 2)
                await subscription.settle([Settlement(first, verdict, body=b"second \xff run"), Settlement(second, verdict)])
                back = await collect(subscription, 2)
                await settle(subscription, back)
            assert bodies(back) == sorted([b"second \xff run", second.body])
            assert await whats_there(broker) == []

    @law(Capability.ACK | Capability.DELAY)
    async def test_giving_back_with_a_delay_waits(self, broker: AsyncBroker) -> None:
        """RELEASE and RETRY with a delay deliver again when it is over and not before."""
        await broker.kick_many(messages(2))
        async with broker.subscribe(DEFAULT) as subscription:
            first, second = await collect(subscription, 2)
            begin = anyio.current_time()
            await subscription.settle(
                [Settlement(first, Verdict.RELEASE, delay=0.6), Settlement(second, Verdict.RETRY, delay=0.6, body=b"again")]
            )
            back = [await take_one(subscription)]
            waited = anyio.current_time() - begin
            back.append(await take_one(subscription))
            await settle(subscription, back)
        assert bodies(back) == sorted([first.body, b"again"])
        assert waited >= 0.6 - SLACK, f"it came after {waited:.3f} s"

    @law(Capability.ACK)
    async def test_settling_twice_is_settling_once(self, broker: AsyncBroker) -> None:
        """A batch of verdicts that is sent again, as after an error, changes nothing."""
        await broker.kick_many(messages(4))
        async with broker.subscribe(DEFAULT) as subscription:
            held = await collect(subscription, 4)
            verdicts = [Settlement(held[0], Verdict.RELEASE), Settlement(held[1], Verdict.RETRY, body=b"again")]
            batch = [*verdicts, *(Settlement(item, Verdict.ACK) for item in held[2:])]
            await subscription.settle(batch)
            await subscription.settle(batch)
            back = await collect(subscription, 2)
            await subscription.settle(batch)
            await nothing_comes(subscription)
        assert bodies(back) == sorted([held[0].body, b"again"])
        assert bodies(await whats_there(broker)) == bodies(back), "the first verdicts said nothing about the second delivery"

    @law(Capability.JOINT_SETTLE | Capability.ACK)
    async def test_joint_settling_stores_the_result(self, broker: AsyncBroker) -> None:
        """`settle` stores the results that it carries into the backend it said yes to, and into no other."""
        sent = messages(3)
        await broker.kick_many(sent)
        backend = self.result_backend_beside(broker)
        await backend.startup()
        async with broker.subscribe(DEFAULT) as subscription:
            assert subscription.stores_results_of(backend)
            assert not subscription.stores_results_of(InMemoryResultBackend())
            held = await collect(subscription, 3)
            await subscription.settle(
                [Settlement(item, Verdict.ACK, result=_result(backend, item.body.decode())) for item in held]
            )
            found = await backend.get_results([message.task_id for message in sent])
        assert {key: value.return_value for key, value in found.items()} == {item.task_id: item.task_id for item in sent}
        assert await whats_there(broker) == []
        await backend.shutdown()

    @law(Capability.JOINT_SETTLE | Capability.ACK | Capability.DEAD_LETTER)
    async def test_joint_settling_is_one_step(self, broker: AsyncBroker) -> None:
        """Nobody sees a message gone without its result, while `settle` runs or after it was cancelled."""
        backend, admin, chance = self.result_backend_beside(broker), admin_of(broker), random.Random(5)
        await backend.startup()
        for sent in messages(40):
            await broker.kick_many([sent])
            async with broker.subscribe(DEFAULT) as subscription:
                verdict = Settlement(await take_one(subscription), Verdict.ACK, result=_result(backend, sent.task_id))
                async with anyio.create_task_group() as group:
                    group.start_soon(_watch, admin, backend, sent.task_id)
                    with anyio.move_on_after(chance.choice((0, chance.random() * 0.01, self.deadline))):
                        await subscription.settle([verdict])
                    group.cancel_scope.cancel()
            gone = await admin.depth(DEFAULT_QUEUE) == QueueDepth()
            assert gone == await backend.is_result_ready(sent.task_id), f"message gone: {gone}, and the result is not so"
            await admin.purge(DEFAULT_QUEUE)
        await backend.shutdown()


def _result(backend: AsyncResultBackend[Any], task_id: str) -> StoredResult:
    return backend.pack(task_id, TaskiqResult(is_err=False, return_value=task_id))


async def _watch(admin: QueueAdmin, backend: AsyncResultBackend[Any], task_id: str) -> None:
    while True:
        depth = await admin.depth(DEFAULT_QUEUE)
        if depth.leased == 0:
            assert await backend.is_result_ready(task_id), "acknowledged before the result was there"
        await anyio.lowlevel.checkpoint()
