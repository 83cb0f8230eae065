"""URLs: what they may say, and what errors about them must not repeat."""

from typing import Any

import pytest
from support.postgres_servers import shared_postgres

from taskiq_core.exceptions import BrokerError, ConfigurationError
from taskiq_core_brokers_postgres import PostgresBroker, locate

pytestmark = pytest.mark.anyio

WRONG = [
    ("postgresql://u:s3cret@h/db?schmea=x", "unknown options: schmea"),
    ("postgresql://u:s3cret@h/db?lease=soon", "lease is a positive number of seconds"),
    ("postgresql://u:s3cret@h/db?migrate=perhaps", "migrate is true or false"),
    ("postgresql://u:s3cret@h/db?schema=a-b", "The schema is a name"),
    ("postgresql://u:s3?cret@h/db", "has @ or # behind its host"),
    ("mysql://u:s3cret@h/db", "is not a PostgreSQL URL"),
    ("postgresql://u:s3@cret@h/db", "has two @: write one in a user name or password as %40"),
    ("postgresql://u:s3cret@h/db?schema=", "an option without a value: schema"),
    ("postgresql://u:s3cret@h/db?schema=a&schema=b", "says schema twice"),
    ("postgresql://u:s3cret@h/db?schema=pg_x", "begins with pg_"),
    ("postgresql://u:s3cret@h:99999/db", "a port is a number from 1 to 65535"),
    ("postgresql://u:s3cret@[::1]:0/db", "a port is a number from 1 to 65535"),
    ("postgresql://u:s3cret@a:1,b:no/db", "a port is a number from 1 to 65535"),
    ("postgresql://u:s3cret@h/db?port=abc", "a port is a number from 1 to 65535"),
    ("postgresql://u:s3cret@h/db?sslmode=maybe", "sslmode is one of allow, disable, prefer, require, verify-ca, verify-full"),
    ("postgresql://u:s3cret@h/db?target_session_attrs=foo", "target_session_attrs is one of any, prefer-standby"),
    ("postgresql://u:s3cret@h/db?sslmode=verify-full&sslrootcert=/nope", r"there is no file /nope \(sslrootcert\)"),
    (
        f"postgresql://u:s3cret@h/db?sslrootcert={__file__}",
        "sslrootcert is for sslmode=verify-full or .* not be read with prefer",
    ),
    (f"postgresql://u:s3cret@h/db?sslkey={__file__}", "sslkey belongs to sslcert, which is not there"),
    (f"postgresql://u:s3cret@h/db?sslmode=require&sslrootcert={__file__}", "its certificates cannot be used"),
    (f"postgresql://u:s3cret@h/db?sslmode=disable&sslcert={__file__}", "sslmode=disable turns that off"),
]


@pytest.mark.parametrize(("url", "text"), WRONG)
def test_wrong_urls_are_refused_without_their_secrets(url: str, text: str) -> None:
    with pytest.raises(ConfigurationError, match=text) as raised:
        PostgresBroker.from_url(url)
    assert "cret" not in str(raised.value)


@pytest.mark.parametrize("schema", ["", 3, "a-b"])
def test_a_schema_is_a_name(schema: Any) -> None:
    with pytest.raises(ConfigurationError, match="The schema is a name"):
        PostgresBroker("postgresql://h/db", schema=schema)


def test_options_are_taken_out_of_the_drivers_url() -> None:
    broker = PostgresBroker.from_url("postgres://u:p@a:1,b:2/db?schema=jobs&lease=7&sslmode=require&migrate=no")
    assert broker.subscribe(["default"]).lease == 7.0
    assert broker.location.schema == "jobs"
    assert broker.location.dsn == "postgresql://u:p@a:1,b:2/db?sslmode=require"
    assert "p@" not in repr(broker.location) + broker.location.place


def test_two_schemas_are_two_places() -> None:
    url = "postgresql://localhost/db"
    assert locate(url, "one").place != locate(url, "two").place


@pytest.mark.parametrize(
    ("one", "two"),
    [
        ("postgresql://h/db?port=5433", "postgresql://h/db?port=5434"),
        ("postgresql://alice@h", "postgresql://bob@h"),
        ("postgresql:///db?host=/run/a&port=1", "postgresql:///db?host=/run/a&port=2"),
        ("postgresql://h?user=alice", "postgresql://h?user=bob"),
    ],
)
def test_other_servers_and_databases_are_other_places(one: str, two: str) -> None:
    assert locate(one, None).place != locate(two, None).place


def test_a_database_without_a_name_is_that_of_the_user() -> None:
    assert locate("postgresql://alice:s3cret@h", None).place == locate("postgresql://bob@h/alice", None).place


@pytest.mark.parametrize("option", ["host=b", "port=2", "user=v", "password=s3cret", "dbname=x"])
def test_what_is_said_twice_is_refused(option: str) -> None:
    with pytest.raises(ConfigurationError, match=f"says {option.partition('=')[0]} twice") as raised:
        locate(f"postgresql://u:s3cret@h:1/db?{option}", None)
    assert "cret" not in str(raised.value)


@pytest.mark.parametrize("url", ["postgresql://127.0.0.1:1/db", "postgresql://no.such.host.invalid/db"])
async def test_what_may_work_later_is_a_broker_error(url: str) -> None:
    with pytest.raises(BrokerError, match="cannot be reached") as raised:
        await PostgresBroker.from_url(f"{url}?send_timeout=0.5").startup()
    assert not isinstance(raised.value, ConfigurationError)


async def test_tls_that_the_server_has_not_is_known_at_once() -> None:
    url = shared_postgres().url
    with pytest.raises(ConfigurationError, match="takes no TLS, which the URL asks for"):
        await PostgresBroker(f"{url}?sslmode=require", send_timeout=60).startup()
