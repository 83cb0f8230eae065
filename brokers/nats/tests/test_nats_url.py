"""What a URL may say, and how wrong ones are refused: with a sentence that helps, and never with a password."""

import pytest

from taskiq_core.exceptions import ConfigurationError
from taskiq_core.plugins import broker_from_url
from taskiq_core_brokers_nats import NatsBroker, locate

SECRET = "hunter2"


@pytest.mark.parametrize("scheme", ["nats", "natss", "tls+nats"])
def test_the_plugin_is_found_by_its_schemes(scheme: str) -> None:
    broker = broker_from_url(f"{scheme}://user:{SECRET}@one:4222,two?prefix=shop&lease=10&send_timeout=2&replicas=3")
    assert isinstance(broker, NatsBroker)
    assert broker.location.servers == (("one", 4222), ("two", 4222))
    assert (broker.location.tls is not None) == (scheme != "nats")
    assert broker.location.prefix == "shop"
    assert broker.send_timeout == 2
    assert SECRET not in repr(broker.location) + broker.location.place


def test_who_we_are() -> None:
    one = locate(f"nats://us%40er:{SECRET}%2F@host").identity
    assert (one.user, one.password, one.token) == ("us@er", f"{SECRET}/", "")
    assert locate(f"nats://{SECRET}@[::1]:1").identity.token == SECRET
    assert locate("nats://[::1]:1").servers == (("::1", 1),)


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("http://host", "not a NATS URL"),
        ("nats://host/path", "not a NATS URL"),
        ("nats://host:99999", "port"),
        (f"nats://user:{SECRET}#@host", "%23"),
        ("nats://host?prefix=a.b", "prefix"),
        ("nats://host?prefix=", "prefix"),
        ("nats://host?unknown=1", "unknown options: unknown"),
        ("nats://host?lease=-1", "lease is a positive number"),
        ("nats://host?replicas=6", "replicas is a number from 1 to 5"),
        ("nats://host?tls_ca=/no/such/file", "no file /no/such/file"),
        ("nats://host?credentials=/no/such/file", "no file /no/such/file"),
    ],
)
def test_wrong_urls_are_refused(url: str, says: str) -> None:
    with pytest.raises(ConfigurationError, match=says) as raised:
        NatsBroker.from_url(url)
    assert SECRET not in str(raised.value)
