"""The servers of the RabbitMQ tests keep what they promise."""

import ssl
from pathlib import Path

import aio_pika
import pytest
from support.certificates import make_certificates
from support.processes import DEADLINE, children_of
from support.rabbitmq_fixtures import StartRabbit
from support.rabbitmq_server import RabbitServer
from support.shared_server import fresh_prefix, shared_url

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def send(url: str, queue: str, body: bytes) -> None:
    """Declare a durable queue and send a lasting message to it; the server has confirmed it."""
    async with await aio_pika.connect(url, timeout=DEADLINE) as connection:
        channel = await connection.channel()
        await channel.declare_queue(queue, durable=True, arguments={"x-queue-type": "quorum"})
        message = aio_pika.Message(body, delivery_mode=aio_pika.DeliveryMode.PERSISTENT)
        await channel.default_exchange.publish(message, queue)


async def receive(url: str, queue: str) -> bytes:
    async with await aio_pika.connect(url, timeout=DEADLINE) as connection:
        channel = await connection.channel()
        found = await (await channel.get_queue(queue)).get(no_ack=True, timeout=DEADLINE)
        return found.body


async def test_the_shared_server_is_one(rabbitmq_url: str) -> None:
    assert shared_url(RabbitServer) == rabbitmq_url == shared_url(RabbitServer)
    mine, other = fresh_prefix(), fresh_prefix()
    assert mine != other
    await send(rabbitmq_url, mine, b"here")
    assert await receive(rabbitmq_url, mine) == b"here"


async def test_queues_outlive_the_process(start_rabbitmq: StartRabbit) -> None:
    server = start_rabbitmq("channel_max = 77", "heartbeat = 7", user="a", password='b"\\ c/@')
    first = server.url, server.process.pid
    assert children_of(server.process.pid), "the name server is a child, and ends with it"
    await send(server.url, "kept", b"yes")
    server.kill()
    with pytest.raises(ConnectionError):
        await send(server.url, "kept", b"no")
    server.restart()
    assert await receive(server.url, "kept") == b"yes"
    assert (server.url, server.process.pid) == (first[0], server.process.pid) != first

    assert server.erlang("application:get_env(rabbit, channel_max)") == "{ok,77}"
    with pytest.raises(AssertionError, match="undef"):
        server.erlang("no:such_thing()")

    server.pause()
    with pytest.raises(TimeoutError):
        await aio_pika.connect(server.url, timeout=0.2)
    server.resume()
    await send(server.url, "kept", b"again")
    server.stop()
    assert server.process.returncode == 0


async def test_a_certificate_secures_it(start_rabbitmq: StartRabbit, tmp_path: Path) -> None:
    tls = make_certificates(tmp_path)
    server = start_rabbitmq(tls=tls)
    trust = ssl.create_default_context(cafile=str(tls.ca))
    async with await aio_pika.connect(server.url, ssl_context=trust, timeout=DEADLINE):
        pass
    with pytest.raises(ConnectionError, match="CERTIFICATE_VERIFY"):
        await aio_pika.connect(server.url, timeout=DEADLINE)
