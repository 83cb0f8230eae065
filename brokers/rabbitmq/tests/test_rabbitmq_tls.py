"""TLS, as URLs ask for it."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.certificates import Certificates, make_certificates
from support.rabbitmq_server import RabbitServer

from taskiq_core.exceptions import BrokerError, ConfigurationError
from taskiq_core.testing.broker_tools import DEFAULT, bodies, collect, messages, settle
from taskiq_core_brokers_rabbitmq import RabbitBroker

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return make_certificates(tmp_path_factory.mktemp("tls"))


@pytest.fixture(scope="module")
def server(certificates: Certificates) -> Iterator[RabbitServer]:
    """Wants certificates of its clients."""
    strict = ("ssl_options.verify = verify_peer", "ssl_options.fail_if_no_peer_cert = true")
    with RabbitServer(*strict, password="s3cret", tls=certificates) as server:
        yield server


@pytest.fixture
def shown(certificates: Certificates) -> str:
    """The options of a client that shows its certificate."""
    return f"certfile={certificates.cert}&keyfile={certificates.key}"


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


async def test_who_is_trusted_is_what_the_url_says(
    server: RabbitServer, certificates: Certificates, shown: str, tmp_path: Path
) -> None:
    trusting = f"{server.url}?{shown}&cafile={certificates.ca}"
    await round_trip(trusting)
    await round_trip(f"{server.url}?{shown}&verify=false")
    other = make_certificates(tmp_path)
    for url in (f"{server.url}?cafile={other.ca}", server.url):
        assert "cafile" in await refusal(url, ConfigurationError)
    assert "not valid for '127.1'" in await refusal(trusting.replace("127.0.0.1", "127.1"), ConfigurationError)
    assert "none.pem" in await refusal(f"{server.url}?cafile={tmp_path / 'none.pem'}", ConfigurationError)
    assert "write amqps://" in await refusal(server.url.replace("amqps://", "amqp://"))


async def test_a_client_shows_its_certificate(server: RabbitServer, certificates: Certificates, tmp_path: Path) -> None:
    url = f"{server.url}?cafile={certificates.ca}"
    assert "certfile" in await refusal(url)
    other = make_certificates(tmp_path)
    assert "certfile" in await refusal(f"{url}&certfile={other.cert}&keyfile={other.key}")


async def test_tls_to_a_server_without_it_is_refused(rabbitmq_url: str) -> None:
    assert "write amqp://" in await refusal(rabbitmq_url.replace("amqp://", "amqps://"))
