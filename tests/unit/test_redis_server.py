"""The servers of the Redis tests keep what they promise."""

from pathlib import Path

import pytest
from redis import ConnectionError as RedisConnectionError
from redis import Redis
from redis import TimeoutError as RedisTimeoutError
from support.certificates import make_certificates
from support.redis_fixtures import StartRedis
from support.redis_servers import redis_prefix, shared_redis


def test_the_shared_server_is_one(redis_url: str) -> None:
    assert shared_redis().url == redis_url == shared_redis().url
    with shared_redis().client() as client:
        assert client.ping()


def test_the_keys_of_a_test_are_deleted(redis_url: str) -> None:
    with shared_redis().client() as client:
        with redis_prefix() as mine, redis_prefix() as other:
            client.set(f"{mine}:a", 1)
            client.set(f"{{{mine}}}:b", 1)
            assert mine != other
        assert client.keys(f"*{mine}*") == []


@pytest.mark.parametrize("end", ["kill", "stop"])
def test_an_append_only_file_outlives_the_process(start_redis: StartRedis, end: str) -> None:
    server = start_redis("appendonly yes")
    first = server.url, server.process.pid
    with server.client() as client:
        client.set("kept", "yes")
        getattr(server, end)()
        with pytest.raises(RedisConnectionError):
            client.get("kept")
        server.restart()
        assert client.get("kept") == "yes"
    assert (server.url, server.process.pid) == (first[0], server.process.pid) != first


def test_a_paused_server_answers_after_it_resumes(start_redis: StartRedis) -> None:
    server = start_redis()
    server.pause()
    with Redis.from_url(server.url, socket_timeout=0.2, retry=None) as impatient, pytest.raises(RedisTimeoutError):
        impatient.ping()
    server.resume()
    with server.client() as client:
        assert client.ping()


def test_lines_of_configuration_win_over_the_defaults(start_redis: StartRedis) -> None:
    server = start_redis("databases 3", "unixsocket redis.sock", "maxmemory 7mb", password='a "b\\ c/@')
    with server.client() as client:
        assert client.config_get("databases") == {"databases": "3"}
        assert client.config_get("maxmemory") == {"maxmemory": str(7 << 20)}
    with Redis(unix_socket_path=str(server.folder / "redis.sock"), password=server.password) as client:
        assert client.ping()


def test_a_server_keeps_what_it_has_written_into_its_own_configuration(start_redis: StartRedis) -> None:
    server = start_redis("maxmemory 7mb")
    with server.client() as client:
        client.config_set("maxmemory", 8 << 20)
        client.config_rewrite()
        server.restart()
        assert client.config_get("maxmemory") == {"maxmemory": str(8 << 20)}


def test_a_certificate_secures_it(start_redis: StartRedis, tmp_path: Path) -> None:
    server = start_redis(tls=make_certificates(tmp_path))
    with server.client() as client:
        assert client.ping()
    with Redis.from_url(server.url, retry=None) as stranger, pytest.raises(RedisConnectionError, match="CERTIFICATE_VERIFY"):
        stranger.ping()
