"""The primary of a Sentinel group dies under load: everybody goes on with the next one, and what that one knows is not lost."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from arena import Arena
from redis import Redis
from support.processes import children_of
from support.redis_sentinel import SentinelSetup, running_sentinel

pytestmark = pytest.mark.crash

KEYS = [f"k{number}" for number in range(200)]
LATER = [f"later{number}" for number in range(20)]


class SentinelStore:
    """Wherever the Sentinels say."""

    lease_option = "lease"

    def __init__(self, setup: SentinelSetup) -> None:
        self.setup = setup
        self.url = self.results_url = self.calm_url = self.calm_results_url = setup.url
        self.primary = setup.master

    def leftovers(self) -> list[str]:
        with self.primary.client() as client:
            return list(client.scan_iter("{taskiq}:ids"))


@pytest.fixture
def arena(tmp_path: Path) -> Iterator[Arena[SentinelStore]]:
    with running_sentinel("appendonly yes", down_after=0.5) as setup:
        place = Arena(tmp_path, SentinelStore(setup))
        try:
            yield place
        finally:
            place.reap()


def wait_replicated(client: Redis) -> None:
    client.incr("mark")  # WAIT looks at what its own connection has written
    assert client.wait(1, 20_000) == 1


def test_under_load(arena: Arena[SentinelStore]) -> None:
    """Replication runs behind: a verdict that the new primary has not heard of makes a task run once more."""
    ids = arena.send("nap", *((key, 0.1) for key in KEYS))
    with arena.worker("--processes", "2", "--concurrency", "4") as supervisor:
        arena.wait_start(KEYS[20])
        workers = children_of(supervisor.pid)
        with arena.store.primary.client() as client:
            wait_replicated(client)
        arena.store.primary.kill()
        arena.store.primary = arena.store.setup.wait_for_failover()
        ids += arena.send("quick", *((key,) for key in LATER))
        assert [result.return_value for result in arena.results(ids)] == KEYS + LATER
        arena.wait_ends(KEYS + LATER)
        arena.wait_empty()
        assert children_of(supervisor.pid) == workers
    assert len(arena.ledger().doubled()) <= 8
