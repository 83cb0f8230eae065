"""What URLs mean, and what is said of wrong ones."""

import pytest

from taskiq_core import broker_from_url
from taskiq_core.exceptions import ConfigurationError
from taskiq_core_brokers_redis import RedisBroker
from taskiq_core_result_backends_redis import RedisResultBackend


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("redis://", "localhost:6379/0 {taskiq}"),
        ("redis://jobs", "jobs:6379/0 {taskiq}"),
        ("redis://jobs:7000/3", "jobs:7000/3 {taskiq}"),
        ("redis://jobs/?db=3", "jobs:6379/3 {taskiq}"),
        ("redis://jobs?prefix=shop", "jobs:6379/0 {shop}"),
        ("redis://user:s3cret@jobs", "jobs:6379/0 {taskiq}"),
        ("redis://:s%2F%403cret@jobs", "jobs:6379/0 {taskiq}"),
        ("redis://[::1]:7000/1", "::1:7000/1 {taskiq}"),
        ("rediss://jobs:7000", "jobs:7000/0 {taskiq}"),
        ("redis:///run/redis.sock?db=2", "/run/redis.sock/2 {taskiq}"),
        ("redis://:s3cret@/run/redis.sock", "/run/redis.sock/0 {taskiq}"),
        ("redis+sentinel://b:7002,a/main", "a:26379,b:7002/main/0 {taskiq}"),
        ("redis+sentinel://:s3cret@a:1/main/4?sentinel_password=s3cret", "a:1/main/4 {taskiq}"),
        ("redis+cluster://b:7002,a", "a:6379,b:7002 (cluster) {taskiq}"),
    ],
)
def test_a_place_is_what_the_url_means_without_its_secrets(url: str, place: str) -> None:
    assert RedisBroker.from_url(url).location.place == place


def test_an_empty_prefix_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="The prefix is empty"):
        RedisBroker("redis://jobs", prefix="")


def test_results_go_to_the_database_of_the_broker() -> None:
    broker = broker_from_url("redis:///run/redis.sock?db=2")
    assert isinstance(broker, RedisBroker)
    assert isinstance(broker.result_backend, RedisResultBackend)
    assert broker.result_backend.location.place == broker.location.place


WRONG = [
    ("redis://:s3cret@jobs:port/0", "The port in the Redis URL is not a number below"),
    ("redis://:s3cret@jobs:70000/0", "port"),
    ("redis://:s3cret@jobs/zero", "The database in the Redis URL is a number"),
    ("redis://:s3cret@jobs?db=zero", "The database in the Redis URL is a number"),
    ("redis://:s3cret@one,two/0", "This is not a Redis URL. Write redis://host:6379/0, "),
    ("http://:s3cret@jobs", "This is not a Redis URL"),
    ("jobs:6379", "This is not a Redis URL"),
    ("redis+sentinel://:s3cret@jobs", "names the service to look for"),
    ("redis+sentinel://:s3cret@jobs/main/zero", "The database in the Redis URL is a number"),
    ("redis+cluster://:s3cret@jobs/1", "A Redis cluster has only database 0"),
    ("redis://:s3cret@jobs?lesae=3", r"unknown options: lesae\. Known are: .*lease"),
    ("redis://:s3cret@jobs?password=s3cret", "unknown options: password"),
    ("redis://:s3cret@jobs?lease=0", "lease is a positive number of seconds, not '0'"),
    ("redis://:s3cret@jobs?send_timeout=soon", "send_timeout is a positive number of seconds, not 'soon'"),
    ("redis://:s3cret@jobs?ssl=maybe", "ssl is true or false, not 'maybe'"),
    ("rediss://:s3cret@jobs?ssl_check_hostname=maybe", "ssl_check_hostname is true or false"),
    ("redis://:s3cret@jobs?prefix={shop}", "A prefix must not contain braces"),
    ("redis://:s3cret@[::1", "This is not a Redis URL"),
    # The password is not quoted as URLs want it, so that some of it stands in other parts of the URL.
    ("redis://:1/s3cret@jobs/0", "Redis URL"),
    ("redis://:1?s3cret@jobs/0", "Redis URL"),
    ("redis://:1?x=s3cret@jobs/0", "Redis URL"),
    ("redis://:1#s3cret@jobs/0", "Redis URL"),
    ("redis://:[s3cret@jobs/0", "Redis URL"),
    ("redis+sentinel://:1/s3cret@jobs/0", "Redis URL"),
    ("redis+cluster://:1/s3cret@jobs/0", "Redis"),
]


@pytest.mark.parametrize(("url", "text"), WRONG)
def test_a_wrong_url_is_refused_and_no_password_repeated(url: str, text: str) -> None:
    with pytest.raises(ConfigurationError, match=text) as raised:
        RedisBroker.from_url(url)
    assert "s3cret" not in f"{raised.value} {raised.value!r}"


async def test_an_option_that_the_connection_does_not_have_is_refused() -> None:
    broker = RedisBroker.from_url("redis://jobs", lesae=3)
    with pytest.raises(ConfigurationError, match="lesae"):
        await broker.startup()
