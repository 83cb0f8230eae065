"""What may be wrong when a broker starts: each is said at once, or as soon as the time is over."""

import anyio
import pytest
from support.nats_fixtures import StartNats
from support.processes import DEADLINE
from support.tcp_ports import free_port

from taskiq_core.exceptions import BrokerError, ConfigurationError, MessageTooLargeError
from taskiq_core.testing.broker_tools import bodies, messages, take_one, whats_there
from taskiq_core_brokers_nats import Connection, NatsBroker, NatsError, locate

pytestmark = pytest.mark.anyio


async def refused(broker: NatsBroker, says: str, kind: type[Exception] = ConfigurationError) -> None:
    with pytest.raises(kind, match=says) as raised:
        await broker.startup()
    assert "hunter2" not in str(raised.value)


async def test_no_server() -> None:
    await refused(NatsBroker(f"nats://u:hunter2@127.0.0.1:{free_port()}", send_timeout=0.5), "cannot be reached", BrokerError)


async def test_a_server_without_jetstream(start_nats: StartNats) -> None:
    server = start_nats("jetstream: disabled")
    await refused(NatsBroker(server.url, send_timeout=1.0), "nats-server -js", BrokerError)


async def test_a_user_who_may_hear_no_answers(start_nats: StartNats, caplog: pytest.LogCaptureFixture) -> None:
    """It is said at once, and by who starts: nobody waits in vain, or for a second try."""
    users = '{user: deaf, password: hunter2, permissions: {publish: ">", subscribe: "taskiq.>"}}'
    server = start_nats(f"authorization: {{users: [{users}]}}")
    await refused(NatsBroker(f"nats://deaf:hunter2@127.0.0.1:{server.port}"), "does not allow .*_INBOX")
    assert "trying again" not in caplog.text


async def test_one_line_for_all_connections(start_nats: StartNats, caplog: pytest.LogCaptureFixture) -> None:
    server = start_nats()
    one, two = (Connection(locate(server.url, prefix), 1.0) for prefix in ("one", "two"))
    await one.open(5.0)
    await two.open(5.0)
    server.kill()
    with anyio.fail_after(DEADLINE):
        while one.link is not None or two.link is not None:
            await anyio.sleep(0.01)
        for connection in (one, two):
            with pytest.raises(NatsError, match="cannot be reached"):
                await connection.usable()
    await one.close()
    await two.close()
    assert caplog.text.count("NATS cannot be reached, trying again") == 1


async def test_a_stream_that_is_not_ours(nats_url: str, nats_prefix: str) -> None:
    connection = Connection(locate(nats_url), 2.0)
    await connection.open(5.0)
    config = {"name": f"{nats_prefix}-queues", "subjects": [f"{nats_prefix}.q.>"], "max_age": 10**9, "duplicate_window": 10**9}
    await connection.api(f"STREAM.CREATE.{nats_prefix}-queues", config)
    await connection.close()
    await refused(NatsBroker(nats_url, prefix=nats_prefix), "retention is 'limits' and has to be 'workqueue'.*max_age")


async def test_a_message_that_is_too_large(nats_url: str, nats_prefix: str) -> None:
    """Refused with its size, and none of its batch is sent."""
    async with NatsBroker(nats_url, prefix=nats_prefix) as broker:
        batch = messages(3)
        batch[1].message = b"x" * 2_000_000
        with pytest.raises(MessageTooLargeError, match="2000000 bytes and the limit is"):
            await broker.kick_many(batch)
        assert await whats_there(broker) == []


async def test_any_names(nats_url: str, nats_prefix: str) -> None:
    """Queues and ids are texts, whatever a subject may hold."""
    queue = "заказы. *.> \n%"
    async with NatsBroker(nats_url, prefix=nats_prefix) as broker:
        sent = messages(2, queue=queue)
        sent[0].task_id = "a.b * > ключ\r\n"
        await broker.kick_many([*sent, sent[0]])
        assert broker.admin is not None
        assert await broker.admin.queues() == {queue}
        (one, two) = await whats_there(broker, [queue])
        assert (one.queue, two.queue) == (queue, queue)
        assert bodies([one, two]) == bodies(sent)


async def test_a_shorter_lease_leaves_what_others_hold(
    nats_url: str, nats_prefix: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Who has the longer one renews too seldom for the shorter one."""
    first, second = (NatsBroker(nats_url, prefix=nats_prefix, lease=lease) for lease in (30.0, 0.5))
    async with first, second:
        await first.kick_many(messages(1))
        async with first.subscribe(["default"]) as holder, second.subscribe(["default"]) as other:
            held = await take_one(holder)
            with anyio.move_on_after(1.5):
                while not await other.receive(1):
                    pass
                pytest.fail("it was taken away")
            assert await holder.extend([held]) == []
    assert "keeps the lease of 30 s" in caplog.text
