"""TLS: what is trusted works, and what is not is a mistake in the configuration, known at the first try."""

from collections.abc import Generator
from pathlib import Path

import pytest
from support.certificates import make_certificates
from support.postgres_server import PostgresServer

from taskiq_core.exceptions import ConfigurationError
from taskiq_core_brokers_postgres import PostgresBroker

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def server() -> Generator[PostgresServer]:
    server = PostgresServer("ssl = on", "ssl_cert_file = '../cert.pem'", "ssl_key_file = '../key.pem'")
    make_certificates(server.folder)
    with server:
        yield server


def asking(server: PostgresServer, *options: str) -> PostgresBroker:
    return PostgresBroker.from_url(f"{server.url}?{'&'.join(options)}")


@pytest.mark.parametrize("mode", ["require", "verify-ca", "verify-full"])
async def test_a_trusted_server_is_used(server: PostgresServer, mode: str) -> None:
    async with asking(server, f"sslmode={mode}", f"sslrootcert={server.folder / 'ca.pem'}") as broker:
        assert broker.admin is not None
        assert (await broker.admin.depth("default")).ready == 0


async def test_an_unknown_authority_is_refused_at_once(server: PostgresServer, tmp_path: Path) -> None:
    other = make_certificates(tmp_path)
    with pytest.raises(ConfigurationError, match="has a certificate that is not trusted: name the authority that made it"):
        await asking(server, "sslmode=verify-full", f"sslrootcert={other.ca}", "send_timeout=60").startup()


async def test_an_authority_that_nobody_named_is_asked_for(
    server: PostgresServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("PGSSLROOTCERT", raising=False)
    with pytest.raises(ConfigurationError, match=r"cannot be used with this URL: root certificate file .* does not exist"):
        await asking(server, "sslmode=verify-full", "send_timeout=60").startup()


def test_a_certificate_may_be_half_in_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Or in libpq's folder: the driver looks there too."""
    made = make_certificates(tmp_path)
    url = "postgresql://h/db?sslmode=require"
    with monkeypatch.context() as environment:
        environment.setenv("PGSSLKEY", str(made.key))
        PostgresBroker.from_url(f"{url}&sslcert={made.cert}")
        environment.setenv("PGSSLKEY", str(tmp_path / "ca-key.pem"))
        with pytest.raises(
            ConfigurationError, match=r"certificates cannot be used \(sslcert=.*cert.pem, sslkey=.*ca-key.pem\)"
        ):
            PostgresBroker.from_url(f"{url}&sslcert={made.cert}")
    with monkeypatch.context() as environment:
        environment.setenv("PGSSLCERT", str(made.cert))
        PostgresBroker.from_url(f"{url}&sslkey={made.key}")
    own = tmp_path / ".postgresql"
    own.mkdir()
    made.cert.rename(own / "postgresql.crt")
    monkeypatch.setenv("HOME", str(tmp_path))
    PostgresBroker.from_url(f"{url}&sslkey={made.key}")
