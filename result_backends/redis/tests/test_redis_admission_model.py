"""Redis admits as the coordinator in memory does, whoever asks for what."""

import hashlib
import random

import pytest
from support.admission_model import BEGIN, compare
from support.redis_servers import shared_redis

from taskiq_core_brokers_redis.scripts import Script
from taskiq_core_result_backends_redis import RedisResultBackend, coordinator

pytestmark = pytest.mark.anyio

SERVERS_TIME = "redis.call('TIME')"
TESTS_TIME = "{redis.call('GET', root .. ':clock'), 0}"


class OnTestsTime(Script):
    """A script whose clock is a key."""

    def __init__(self, script: Script) -> None:
        assert SERVERS_TIME in script.text
        self.text = script.text.replace(SERVERS_TIME, TESTS_TIME)
        self._head = ("EVALSHA", hashlib.sha1(self.text.encode(), usedforsecurity=False).hexdigest(), 1)


@pytest.mark.parametrize("seed", range(4))
async def test_random_histories_have_the_same_answers(
    backend: RedisResultBackend, redis_prefix: str, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    for name in ("_ADMIT", "_LEAVE"):
        monkeypatch.setattr(coordinator, name, OnTestsTime(getattr(coordinator, name)))
    with shared_redis().client() as client:
        client.set(f"{{{redis_prefix}}}:clock", int(BEGIN))

        async def turn(seconds: float) -> None:
            client.incrby(f"{{{redis_prefix}}}:clock", int(seconds))

        assert await compare(backend, turn, random.Random(seed), 150) > 100
