"""What a URL of RabbitMQ may say, and what comes of wrong ones."""

import logging

import pytest
from support.tcp_ports import free_port

from taskiq_core import broker_from_url
from taskiq_core.exceptions import ConfigurationError
from taskiq_core_brokers_rabbitmq import RabbitBroker, RabbitError, locate

pytestmark = pytest.mark.anyio


def test_a_url_names_server_host_and_prefix() -> None:
    found = locate("amqp://me:p%40ss@jobs:5673/my%2Fhost?prefix=shop", None)
    assert (found.host, found.port, found.user, found.password, found.vhost, found.prefix) == (
        *("jobs", 5673, "me", "p@ss", "my/host", "shop"),
    )
    assert "p@ss" not in repr(found)


def test_defaults() -> None:
    found = locate("amqps://jobs", None)
    assert (found.port, found.user, found.vhost, found.prefix, found.tls) == (5671, "guest", "/", "taskiq", {})


def test_the_schemes_lead_here() -> None:
    for scheme in ("amqp", "amqps", "rabbitmq"):
        assert isinstance(broker_from_url(f"{scheme}://localhost/?queue_type=quorum&delivery_limit=5"), RabbitBroker)


@pytest.mark.parametrize(
    "url",
    [
        "amqp://me:secret/word@jobs/",
        "amqp://me:secret#word@jobs/",
        "amqp://me:secret@jobs:port/",
        "http://me:secret@jobs/",
        "amqp://me:secret@jobs/?cafile=ca.pem",
        "amqp://me:secret@jobs/?queue_type=stream",
        "amqp://me:secret@jobs/?delivery_limit=many",
        "amqp://me:secret@jobs/?delivery_limit=0",
        "amqp://me:secret@jobs/?queue_type=classic&delivery_limit=5",
        "amqp://me:secret@jobs/?send_timeout=0",
        "amqp://me:secret@jobs/?colour=red",
        "amqp://me:secret@jobs/?prefix=amq.mine",
        "amqp://me:secret@jobs/?heartbeat=0.5",
        "amqp://me:secret@jobs,jobs2/",
        "amqp://me:secret@jobs:5672,jobs2:5672/",
        "rabbitmq://me:secret@jobs/?cafile=ca.pem",
    ],
)
def test_wrong_urls_are_refused_without_telling_the_password(url: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        RabbitBroker.from_url(url)
    assert "secret" not in str(caught.value)


async def test_a_server_that_is_not_there() -> None:
    broker = RabbitBroker(f"amqp://me:secret@127.0.0.1:{free_port()}/", send_timeout=0.6)
    with pytest.raises(RabbitError, match="cannot be reached") as caught:
        await broker.startup()
    assert "secret" not in str(caught.value)


async def test_a_wrong_password(rabbitmq_url: str) -> None:
    broker = RabbitBroker(rabbitmq_url.replace("guest:guest@", "guest:secret@"))
    with pytest.raises(ConfigurationError, match="refuses the user name or password") as caught:
        await broker.startup()
    assert "secret" not in str(caught.value)


async def test_a_virtual_host_that_is_not_there(rabbitmq_url: str, caplog: pytest.LogCaptureFixture) -> None:
    """The error says all of it; aiormq logs for others who use it, and nothing of this."""
    broker = RabbitBroker(rabbitmq_url + "nowhere")
    with pytest.raises(ConfigurationError, match="has no virtual host of that name"):
        await broker.startup()
    assert not caplog.records
    logging.getLogger("aiormq.connection").warning("a connection of somebody else")
    assert caplog.messages == ["a connection of somebody else"]
