"""A Redis Cluster: all keys of a prefix on one node, found from any node, and found again after a failover."""

import anyio
import anyio.to_thread
import pytest
from support.redis_cluster import ClusterSetup, running_cluster
from support.redis_server import RedisServer
from support.redis_traffic import drain, kick_until_accepted, message, round_trip, started

from taskiq_core.exceptions import BrokerError, SendTaskError
from taskiq_core_brokers_redis import RedisBroker

pytestmark = pytest.mark.anyio

PREFIXES = ("shop", "mail", "jobs", "logs", "taskiq")


async def test_messages_flow_whichever_node_is_named() -> None:
    with running_cluster(password="s3cret") as setup:
        for prefix in PREFIXES:
            for node in setup.nodes:
                url = f"redis+cluster://:s3cret@127.0.0.1:{node.port}?prefix={prefix}"
                async with started(RedisBroker.from_url(url)) as broker:
                    await round_trip(broker)
                    assert broker.admin is not None
                    assert await broker.admin.queues() == {"default"}
        owners = {setup.owner_of(f"{{{prefix}}}").port for prefix in PREFIXES}
        assert len(owners) > 1, "these prefixes are to lie on several nodes"


async def test_a_node_that_is_not_there_is_passed_over() -> None:
    with running_cluster() as setup:
        async with started(RedisBroker.from_url(setup.url.replace("//", "//127.0.0.1:1,"))) as broker:
            await round_trip(broker)
        with pytest.raises(BrokerError, match="cannot be reached"):
            async with started(RedisBroker.from_url("redis+cluster://127.0.0.1:1", send_timeout=1.0)):
                pass


async def test_the_address_of_one_node_says_how_to_write_the_url() -> None:
    with running_cluster() as setup:
        owner = setup.owner_of("{taskiq}")
        other = next(node for node in setup.nodes if node is not owner)
        async with started(RedisBroker.from_url(other.url, send_timeout="0.5")) as broker:
            with pytest.raises(SendTaskError, match=r"our keys are on another node: use redis\+cluster://") as raised:
                await broker.kick(message("one"))
            assert raised.value.outcome == "refused"


async def test_producers_and_a_subscription_carry_on_after_a_failover() -> None:
    with running_cluster("appendonly yes", replicas=1) as setup:
        owner = setup.owner_of("{taskiq}")
        async with started(RedisBroker.from_url(setup.url)) as broker:
            seen = await through_a_failover(setup, owner, broker)
        assert setup.owner_of("{taskiq}") is not owner
    assert len(seen) == len(set(seen))


async def through_a_failover(setup: ClusterSetup, owner: RedisServer, broker: RedisBroker) -> list[str]:
    """Send and receive before, during and after; return the ids that were received."""
    before, during, after = ([f"{name}-{number}" for number in range(10)] for name in ("before", "during", "after"))
    seen: list[str] = []
    received_some = anyio.Event()

    async def receive() -> None:
        async with broker.subscribe(["default"]) as subscription:
            seen.extend(await drain(subscription, before[:1]))
            received_some.set()
            seen.extend(await drain(subscription, {*before, *during, *after} - set(seen)))

    async with anyio.create_task_group() as group:
        await broker.kick(message(before[0]))
        group.start_soon(receive)
        await received_some.wait()
        await broker.kick_many([message(item) for item in before[1:]])
        await anyio.to_thread.run_sync(wait_replicated, owner)
        owner.kill()
        for item in during:
            await kick_until_accepted(broker, item)
        await anyio.to_thread.run_sync(setup.wait_for_failover, owner)
        await broker.kick_many([message(item) for item in after])
    return seen


def wait_replicated(owner: RedisServer) -> None:
    with owner.client() as client:
        client.incr("{taskiq}mark")  # WAIT looks at what its own connection has written
        assert client.wait(1, 20_000) == 1
