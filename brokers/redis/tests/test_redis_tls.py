"""TLS, as URLs ask for it."""

from pathlib import Path

import pytest
from support.certificates import Certificates, make_certificates
from support.redis_fixtures import StartRedis
from support.redis_server import RedisServer
from support.redis_traffic import round_trip, started

from taskiq_core.exceptions import BrokerError
from taskiq_core_brokers_redis import RedisBroker

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return make_certificates(tmp_path_factory.mktemp("tls"))


@pytest.fixture
def server(start_redis: StartRedis, certificates: Certificates) -> RedisServer:
    return start_redis(password="s3cret", tls=certificates)


@pytest.fixture
def strict_server(start_redis: StartRedis, certificates: Certificates) -> RedisServer:
    """Wants a certificate from clients too."""
    return start_redis("tls-auth-clients yes", tls=certificates)


async def refusal(url: str) -> str:
    with pytest.raises(BrokerError) as raised:
        async with started(RedisBroker.from_url(url, send_timeout=2.0)):
            pass
    assert "s3cret" not in str(raised.value)
    return str(raised.value)


async def test_messages_flow_to_a_server_that_a_known_authority_vouches_for(
    server: RedisServer, certificates: Certificates
) -> None:
    url = f"{server.url}?ssl_ca_certs={certificates.ca}"
    async with started(RedisBroker.from_url(url)) as broker:
        await round_trip(broker)
    plain_scheme = url.replace("rediss://", "redis://") + "&ssl=true"
    async with started(RedisBroker.from_url(plain_scheme)) as broker:
        await round_trip(broker)


async def test_the_name_in_the_certificate_is_checked(server: RedisServer, certificates: Certificates) -> None:
    url = f"{server.url}?ssl_ca_certs={certificates.ca}".replace("127.0.0.1", "127.0.0.2")
    await refusal(url)


async def test_a_server_of_an_unknown_authority_is_refused(server: RedisServer, tmp_path: Path) -> None:
    other = make_certificates(tmp_path)
    assert "certificate" in await refusal(f"{server.url}?ssl_ca_certs={other.ca}")
    assert "certificate" in await refusal(server.url)


async def test_checks_may_be_turned_off(server: RedisServer) -> None:
    url = f"{server.url}?ssl_cert_reqs=none&ssl_check_hostname=false"
    async with started(RedisBroker.from_url(url)) as broker:
        await round_trip(broker)


async def test_a_client_shows_its_certificate(strict_server: RedisServer, certificates: Certificates) -> None:
    url = f"{strict_server.url}?ssl_ca_certs={certificates.ca}"
    await refusal(url)
    async with started(
        RedisBroker.from_url(f"{url}&ssl_certfile={certificates.cert}&ssl_keyfile={certificates.key}")
    ) as broker:
        await round_trip(broker)


async def test_a_file_that_is_not_there_is_a_wrong_configuration(server: RedisServer, tmp_path: Path) -> None:
    assert str(tmp_path / "none.pem") in await refusal(f"{server.url}?ssl_ca_certs={tmp_path / 'none.pem'}")


async def test_plain_text_to_a_server_with_tls_is_refused(server: RedisServer) -> None:
    assert "cannot be reached" in await refusal(server.url.replace("rediss://", "redis://"))
