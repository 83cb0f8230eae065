"""A primary that Sentinels watch dies: producers and workers go on with the next one."""

import anyio
import anyio.to_thread
import pytest
from support.redis_fixtures import StartRedis
from support.redis_sentinel import SentinelServer, SentinelSetup, running_sentinel
from support.redis_traffic import drain, kick_until_accepted, message, round_trip, started

from taskiq_core.exceptions import BrokerError, ConfigurationError
from taskiq_core_brokers_redis import RedisBroker

pytestmark = pytest.mark.anyio


async def test_producers_and_a_subscription_carry_on_after_a_failover() -> None:
    with running_sentinel("appendonly yes", password="s3 c@ret") as setup:
        async with started(RedisBroker.from_url(setup.url)) as broker:
            seen = await through_a_failover(setup, broker)
    assert len(seen) == len(set(seen))


async def through_a_failover(setup: SentinelSetup, broker: RedisBroker) -> list[str]:
    """Send and receive before, during and after; return the ids that were received."""
    delayed = [f"delayed-{number}" for number in range(5)]
    before = [f"before-{number}" for number in range(50)]
    during, after = ([f"{name}-{number}" for number in range(10)] for name in ("during", "after"))
    seen: list[str] = []
    received_some = anyio.Event()

    async def receive() -> None:
        async with broker.subscribe(["default"]) as subscription:
            seen.extend(await drain(subscription, before[:10]))
            await anyio.to_thread.run_sync(wait_replicated, setup)
            received_some.set()
            seen.extend(await drain(subscription, {*before, *during, *after, *delayed} - set(seen)))

    async with anyio.create_task_group() as group:
        await broker.kick_many([message(item, delay=2.0) for item in delayed])
        await broker.kick_many([message(item) for item in before[:10]])
        group.start_soon(receive)
        await received_some.wait()
        await broker.kick_many([message(item) for item in before[10:]])
        await anyio.to_thread.run_sync(wait_replicated, setup)
        setup.master.kill()
        for item in during:
            await kick_until_accepted(broker, item)
        await anyio.to_thread.run_sync(setup.wait_for_failover)
        await broker.kick_many([message(item) for item in after])
    return seen


def wait_replicated(setup: SentinelSetup) -> None:
    with setup.master.client() as client:
        client.incr("mark")  # WAIT looks at what its own connection has written
        assert client.wait(1, 20_000) == 1


@pytest.mark.slow
async def test_a_primary_that_was_made_a_replica_is_left() -> None:
    with running_sentinel() as setup:
        async with started(RedisBroker.from_url(setup.url)) as broker:
            async with broker.subscribe(["default"]) as subscription:
                await broker.kick(message("before"))
                assert await drain(subscription, ["before"]) == ["before"]
                setup.master.pause()
                await anyio.to_thread.run_sync(setup.wait_for_failover)
                setup.master.resume()
                # Until then it takes messages, and loses them: that is a matter of min-replicas-to-write.
                await anyio.to_thread.run_sync(setup.master.process.wait_for_line, "REPLICAOF 127.0.0.1")
                await broker.kick(message("after"))
                assert await drain(subscription, ["after"]) == ["after"]


async def test_what_is_wrong_with_the_sentinels_is_said() -> None:
    with running_sentinel(password="s3cret") as setup:
        with pytest.raises(BrokerError, match="the Sentinels name no primary") as raised:
            async with started(RedisBroker.from_url(setup.url.replace("/main/", "/other/"), send_timeout=2.0)):
                pass
        assert "s3cret" not in str(raised.value)
        with pytest.raises(BrokerError, match="refuses the user name or password") as raised:
            async with started(RedisBroker.from_url(setup.url.replace("s3cret", "wr0ng"), send_timeout=2.0)):
                pass
        assert "wr0ng" not in str(raised.value)


async def test_a_sentinel_that_is_away_is_passed_over_within_the_time_of_a_send() -> None:
    with running_sentinel() as setup:
        setup.sentinels[0].kill()
        setup.sentinels[1].pause()
        async with started(RedisBroker.from_url(setup.url, send_timeout=2.0)) as broker:
            await round_trip(broker)
            with setup.master.client() as client:
                client.client_kill_filter(_type="normal", skipme=True)
            await broker.kick(message("one"))


async def test_sentinels_may_have_a_password_of_their_own(start_redis: StartRedis) -> None:
    server = start_redis()
    with SentinelServer(f"sentinel monitor main 127.0.0.1 {server.port} 1", "requirepass s3cret") as sentinel:
        url = f"redis+sentinel://127.0.0.1:{sentinel.port}/main"
        async with started(RedisBroker.from_url(f"{url}?sentinel_password=s3cret")) as broker:
            await round_trip(broker)
        for wrong in (url, f"{url}?sentinel_password=wr0ng"):
            with pytest.raises(ConfigurationError, match="sentinel_password") as raised:
                async with started(RedisBroker.from_url(wrong)):
                    pass
            assert "wr0ng" not in str(raised.value)
