"""Servers that refuse: at start-up, for want of memory or disk, while they load, as replicas."""

import logging
from pathlib import Path

import anyio
import anyio.to_thread
import pytest
from support.processes import DEADLINE
from support.redis_fixtures import StartRedis
from support.redis_server import RedisServer
from support.redis_traffic import acknowledge, drain, id_of, message, round_trip, started

from taskiq_core.delivery import Settlement, StoredResult, Verdict
from taskiq_core.exceptions import BrokerError, ConfigurationError, SendTaskError
from taskiq_core_brokers_redis import RedisBroker, RedisError

pytestmark = pytest.mark.anyio

REFUSED = [
    ("redis://{host}", "wants a password: put it into the URL"),
    ("redis://:wr0ng@{host}", "refuses the user name or password"),
    ("redis://joe:s3cret@{host}", "refuses the user name or password"),
    ("redis://mute:s3cret@{host}", "does not allow this user what is needed"),
    ("redis://:s3cret@{host}/99", "has no database of that number"),
    ("redis+cluster://:s3cret@{host}", "is not a cluster: use redis://"),
    ("redis+sentinel://{host}/main?sentinel_password=s3cret", "is no Sentinel: use redis://"),
]


@pytest.mark.parametrize(("form", "text"), REFUSED)
async def test_what_can_never_work_is_said_at_the_start(start_redis: StartRedis, form: str, text: str) -> None:
    server = start_redis("user mute on >s3cret ~* -@all", password="s3cret")
    with pytest.raises(ConfigurationError, match=text) as raised:
        async with started(RedisBroker.from_url(form.format(host=f"127.0.0.1:{server.port}"))):
            pass
    assert "s3cret" not in str(raised.value)
    assert "wr0ng" not in str(raised.value)


async def test_keys_that_are_not_allowed_end_a_worker_at_its_start(start_redis: StartRedis) -> None:
    server = start_redis("user ann on >s3cret ~{jobs}* +@all")
    url = f"redis://ann:s3cret@127.0.0.1:{server.port}?prefix"
    async with started(RedisBroker.from_url(f"{url}=jobs")) as broker, broker.subscribe(["default"]):
        pass
    async with started(RedisBroker.from_url(f"{url}=other")) as broker:
        with pytest.raises(ConfigurationError, match="does not allow this user what is needed"):
            async with broker.subscribe(["default"]):
                pass


@pytest.mark.parametrize("form", ["redis://127.0.0.1:1?", "redis:///nowhere/redis.sock?", "redis://no.such.host.invalid?"])
async def test_what_may_work_later_is_a_broker_error(form: str) -> None:
    with pytest.raises(BrokerError, match="cannot be reached") as raised:
        async with started(RedisBroker.from_url(f"{form}send_timeout=0.5")):
            pass
    assert not isinstance(raised.value, ConfigurationError)


async def test_users_of_the_access_list_and_unix_sockets(start_redis: StartRedis, tmp_path: Path) -> None:
    socket = tmp_path / "redis.sock"
    calls = " ".join(f"+client|{name}" for name in ("setname", "id", "tracking", "unblock"))
    user = f"user ann on >p%2Fw ~{{taskiq}}* +@all -@dangerous +info {calls}"
    server = start_redis(f"unixsocket {socket}", user, password="s3cret")
    for url in (f"redis://ann:p%252Fw@127.0.0.1:{server.port}", f"redis://:s3cret@{socket}?db=3"):
        async with started(RedisBroker.from_url(url)) as broker:
            await round_trip(broker)


async def test_a_replica_takes_no_messages_and_says_why(start_redis: StartRedis) -> None:
    primary = start_redis()
    replica = start_redis(f"replicaof 127.0.0.1 {primary.port}")
    async with started(RedisBroker(replica.url, send_timeout=0.5)) as broker:
        with pytest.raises(SendTaskError, match="is a replica and takes no writes") as raised:
            await broker.kick(message("one"))
        assert raised.value.outcome == "refused"
        async with broker.subscribe(["default"]) as subscription:
            with pytest.raises(RedisError, match="is a replica and takes no writes"):
                await subscription.receive(1)


@pytest.mark.parametrize(
    ("policy", "victims"),
    [("noeviction", None), ("volatile-lru", "results"), ("allkeys-lru", "any key, queued tasks included")],
)
async def test_a_policy_that_evicts_is_warned_of(
    start_redis: StartRedis, caplog: pytest.LogCaptureFixture, policy: str, victims: str | None
) -> None:
    server = start_redis(f"maxmemory-policy {policy}", password="s3cret")
    with caplog.at_level(logging.WARNING):
        async with started(RedisBroker(server.url)):
            pass
    warnings = [record.getMessage() for record in caplog.records]
    assert len(warnings) == (victims is not None)
    assert victims is None or (victims in warnings[0] and "noeviction" in warnings[0] and "s3cret" not in warnings[0])


async def test_scripts_that_the_server_forgets_under_way_are_taught_again(start_redis: StartRedis) -> None:
    server = start_redis()
    ids = [f"id-{number}" for number in range(500)]
    seen: list[str] = []

    async with started(RedisBroker(server.url)) as broker:
        done = anyio.Event()

        async def receive() -> None:
            async with broker.subscribe(["default"]) as subscription:
                seen.extend(await drain(subscription, ids))
            done.set()

        with server.client() as client:
            async with anyio.create_task_group() as group:
                group.start_soon(receive)
                for item in ids:
                    await broker.kick(message(item))
                    client.script_flush()
                await done.wait()
    assert sorted(seen) == sorted(ids)


async def test_a_server_that_loads_is_waited_for(start_redis: StartRedis) -> None:
    server = start_redis("rdbcompression no")
    with server.client() as client:
        client.mset({f"ballast-{number}": "x" * 1_000_000 for number in range(50)})
    async with started(RedisBroker(server.url)) as broker, started(RedisBroker(server.url, send_timeout=0.3)) as hasty:
        await broker.kick(message("before"))
        with server.client() as client:
            client.save()
        server.kill()
        # It answers while it loads, every 2 MB.
        server.file.write_text(server.file.read_text() + "key-load-delay 30000\n")
        async with anyio.create_task_group() as group:
            group.start_soon(anyio.to_thread.run_sync, server.start)
            reason = ""
            while "is loading its data from disk" not in reason:
                with pytest.raises(SendTaskError) as raised:
                    await hasty.kick(message("hasty"))
                reason = raised.value.reason
            await broker.kick(message("meanwhile"))
        async with broker.subscribe(["default"]) as subscription:
            assert sorted(await drain(subscription, ["before", "meanwhile"])) == ["before", "meanwhile"]


async def test_a_full_server_takes_no_messages_but_lets_workers_finish(start_redis: StartRedis) -> None:
    server = start_redis("maxmemory-policy noeviction")
    ids = [f"id-{number}" for number in range(100)]
    async with started(RedisBroker(server.url)) as broker, broker.subscribe(["default"]) as holder:
        await broker.kick_many([message(item, size=1000) for item in ids])
        await broker.kick(message("delayed", delay=0.2))
        (retried,) = await holder.receive(1)
        with server.client() as client:
            client.config_set("maxmemory", "1mb")  # it holds more than that already
            with pytest.raises(SendTaskError, match="has no memory left") as raised:
                await broker.kick(message("late"))
            assert raised.value.outcome == "refused"
            await holder.settle([Settlement(retried, Verdict.RETRY, delay=0.1)])
            async with broker.subscribe(["default"]) as subscription:  # a worker that starts now
                (first,) = await subscription.receive(1)
                result = StoredResult(id_of(first.body), b"value", ttl=60)
                await subscription.settle([Settlement(first, Verdict.ACK, result=result)])
                left = {*ids, "delayed"} - {id_of(first.body)}
                assert sorted(await drain(subscription, left)) == sorted(left)
            assert client.get(f"{{taskiq}}:result:{result.task_id}") == "value"
            client.config_set("maxmemory", "0")
        await round_trip(broker)


async def test_a_server_that_cannot_save_takes_no_messages(start_redis: StartRedis) -> None:
    server = start_redis("save 3600 1000000")
    in_the_way = server.folder / "dump.rdb"
    async with started(RedisBroker(server.url)) as broker, broker.subscribe(["default"]) as subscription:
        await broker.kick(message("before"))
        (held,) = await subscription.receive(1)
        in_the_way.mkdir()
        await saved(server, "err")
        with pytest.raises(SendTaskError, match="refuses writes because it cannot save to disk") as raised:
            await broker.kick(message("late"))
        assert raised.value.outcome == "refused"
        with pytest.raises(RedisError, match="cannot save to disk"):
            await subscription.settle([Settlement(held, Verdict.ACK)])
        in_the_way.rmdir()
        await saved(server, "ok")
        await acknowledge(subscription, [held])
        await round_trip(broker)


async def saved(server: RedisServer, status: str) -> None:
    with server.client() as client, anyio.fail_after(DEADLINE):
        client.bgsave()
        while client.info("persistence")["rdb_last_bgsave_status"] != status:
            await anyio.sleep(0.01)
