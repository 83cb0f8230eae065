"""TLS, as URLs ask for it."""

from pathlib import Path

import pytest
from support.rabbitmq_fixtures import StartRabbit
from support.rabbitmq_server import RabbitServer
from support.redis_certificates import Certificates, make_certificates

from taskiq_core.exceptions import BrokerError, ConfigurationError
from taskiq_core.testing.broker_tools import DEFAULT, bodies, collect, messages, settle
from taskiq_core_brokers_rabbitmq import RabbitBroker

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return make_certificates(tmp_path_factory.mktemp("tls"))


@pytest.fixture
def server(start_rabbitmq: StartRabbit, certificates: Certificates) -> RabbitServer:
    return start_rabbitmq(password="s3cret", tls=certificates)


async def round_trip(url: str) -> None:
    async with RabbitBroker.from_url(url) as broker, broker.subscribe(DEFAULT) as subscription:
        sent = messages(3)
        await broker.kick_many(sent)
        taken = await collect(subscription, 3)
        assert bodies(taken) == bodies(sent)
        await settle(subscription, taken)


async def refusal(url: str, kind: type[Exception] = BrokerError) -> str:
    with pytest.raises(kind) as raised:
        await RabbitBroker.from_url(url, send_timeout=1.5).startup()
    assert "s3cret" not in str(raised.value)
    return str(raised.value)


async def test_who_is_trusted_is_what_the_url_says(server: RabbitServer, certificates: Certificates, tmp_path: Path) -> None:
    trusting = f"{server.url}?cafile={certificates.ca}"
    await round_trip(trusting)
    await round_trip(f"{server.url}?verify=false")
    other = make_certificates(tmp_path)
    for url in (f"{server.url}?cafile={other.ca}", server.url):
        assert "cafile" in await refusal(url, ConfigurationError)
    assert "127.0.0.2" in await refusal(trusting.replace("127.0.0.1", "127.0.0.2"), ConfigurationError)
    assert "none.pem" in await refusal(f"{server.url}?cafile={tmp_path / 'none.pem'}", ConfigurationError)
    assert "amqps://" in await refusal(server.url.replace("amqps://", "amqp://"))


async def test_a_client_shows_its_certificate(start_rabbitmq: StartRabbit, certificates: Certificates, tmp_path: Path) -> None:
    strict = ("ssl_options.verify = verify_peer", "ssl_options.fail_if_no_peer_cert = true")
    url = f"{start_rabbitmq(*strict, tls=certificates).url}?cafile={certificates.ca}"
    await round_trip(f"{url}&certfile={certificates.cert}&keyfile={certificates.key}")
    assert "certfile" in await refusal(url)
    other = make_certificates(tmp_path)
    assert "certfile" in await refusal(f"{url}&certfile={other.cert}&keyfile={other.key}")
