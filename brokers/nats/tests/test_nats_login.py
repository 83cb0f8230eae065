"""Who we are, for servers of each kind: user, token, credentials file; and TLS that is wanted, offered or missing."""

import sys
from pathlib import Path

import pytest
from support.certificates import make_certificates
from support.nats_fixtures import StartNats
from support.nats_operator import Operator

from taskiq_core.exceptions import ConfigurationError
from taskiq_core.testing.broker_tools import bodies, messages, whats_there
from taskiq_core_brokers_nats import NatsBroker, locate

pytestmark = pytest.mark.anyio


async def works(url: str) -> None:
    async with NatsBroker(url) as broker:
        sent = messages(2)
        await broker.kick_many(sent)
        assert bodies(await whats_there(broker))[-2:] == bodies(sent)


async def refused(url: str, says: str) -> None:
    with pytest.raises(ConfigurationError, match=says) as raised:
        await NatsBroker(url).startup()
    assert "hunter2" not in str(raised.value)


async def test_users(start_nats: StartNats) -> None:
    server = start_nats(user="worker", password="right/@one")
    await works(server.url)
    bare = f"127.0.0.1:{server.port}"
    for url in (f"nats://worker:hunter2@{bare}", f"nats://hunter2@{bare}", f"nats://{bare}"):
        await refused(url, "refuses the user")


async def test_tokens(start_nats: StartNats) -> None:
    server = start_nats('authorization: { token: "right/@one" }')
    bare = f"127.0.0.1:{server.port}"
    await works(f"nats://right%2F%40one@{bare}")
    await refused(f"nats://hunter2@{bare}", "refuses the user, password, token")


async def test_credentials_files(start_nats: StartNats, tmp_path: Path) -> None:
    operator = Operator()
    server = start_nats(*operator.server_config())
    user = operator.make_credentials(tmp_path / "user.creds")
    stranger = operator.make_credentials(tmp_path / "stranger.creds", of_account=False)
    await works(f"{server.url}?credentials={user}")
    await refused(f"{server.url}?credentials={stranger}", "refuses the user, password, token or credentials")
    await refused(server.url, "refuses the user, password, token or credentials")


@pytest.mark.parametrize(
    ("replaced", "by", "says"),
    [
        ("NKEY SEED", "NKEY", "holds no JWT and seed of a user"),
        ("USER JWT", "JWT", "holds no JWT and seed of a user"),
        ("-\nSU", "-\nhunter2", "cannot be used"),
    ],
)
async def test_files_that_hold_no_credentials(start_nats: StartNats, tmp_path: Path, replaced: str, by: str, says: str) -> None:
    operator = Operator()
    file = operator.make_credentials(tmp_path / "user.creds")
    file.write_text(file.read_text().replace(replaced, by))
    await refused(f"{start_nats(*operator.server_config()).url}?credentials={file}", f"user.creds .*{says}")


async def test_credentials_without_the_library(nats_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = Operator().make_credentials(tmp_path / "user.creds")
    monkeypatch.setitem(sys.modules, "nkeys", None)
    await refused(f"{nats_url}?credentials={file}", r"pip install taskiq-core-brokers-nats\[credentials\]")


def test_one_of_user_and_credentials(tmp_path: Path) -> None:
    file = Operator().make_credentials(tmp_path / "user.creds")
    with pytest.raises(ConfigurationError, match="choose one"):
        locate(f"nats://user:hunter2@host?credentials={file}")


async def test_a_server_without_tls(start_nats: StartNats) -> None:
    """It is not told the password."""
    server = start_nats("trace: true", user="worker", password="hunter2")
    await refused(server.url.replace("nats://", "tls+nats://"), "has no TLS")
    assert "CONNECT" not in server.process.output
    await works(server.url)
    assert "CONNECT" in server.process.output


async def test_a_server_that_wants_tls(start_nats: StartNats, tmp_path: Path) -> None:
    """It gets it; it is trusted for what its certificate says, and no more."""
    certificates = make_certificates(tmp_path)
    server = start_nats(tls=certificates)
    for scheme in ("nats", "tls"):
        await works(f"{scheme}://127.0.0.1:{server.port}?tls_ca={certificates.ca}")
    await refused(f"nats://127.0.0.1:{server.port}", "cannot be trusted")
    await refused(server.url, "cannot be trusted")
    await refused(f"{server.url}?tls_ca={certificates.ca}&tls_hostname=another.host", "cannot be trusted")


async def test_a_server_that_offers_tls(start_nats: StartNats, tmp_path: Path) -> None:
    """Who wants it gets it."""
    certificates = make_certificates(tmp_path)
    server = start_nats("allow_non_tls: true", "debug: true", tls=certificates)
    await works(f"nats://127.0.0.1:{server.port}")
    assert "TLS handshake complete" not in server.process.output
    await works(f"{server.url}?tls_ca={certificates.ca}")
    assert "TLS handshake complete" in server.process.output


async def test_a_server_that_wants_our_certificate(start_nats: StartNats, tmp_path: Path) -> None:
    certificates = make_certificates(tmp_path)
    files = f'cert_file: "{certificates.cert}", key_file: "{certificates.key}", ca_file: "{certificates.ca}"'
    server = start_nats(f"tls: {{ {files}, verify: true }}")
    trusting = f"tls://127.0.0.1:{server.port}?tls_ca={certificates.ca}"
    await works(f"{trusting}&tls_cert={certificates.cert}&tls_key={certificates.key}")
    await refused(trusting, "does not trust us")
