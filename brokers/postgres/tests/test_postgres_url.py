"""URLs: what they may say, and what errors about them must not repeat."""

import pytest

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
]


@pytest.mark.parametrize(("url", "text"), WRONG)
def test_wrong_urls_are_refused_without_their_secrets(url: str, text: str) -> None:
    with pytest.raises(ConfigurationError, match=text) as raised:
        PostgresBroker.from_url(url)
    assert "cret" not in str(raised.value)


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
