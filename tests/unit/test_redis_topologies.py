"""Sentinel and Cluster set-ups of the Redis tests work and fail over."""

import pytest
from redis import ConnectionError as RedisConnectionError
from support.redis_cluster import running_cluster
from support.redis_sentinel import running_sentinel


def test_sentinels_make_a_replica_the_master() -> None:
    with running_sentinel("appendonly yes", password='a "b') as setup:
        with setup.master.client() as client:
            client.set("kept", "yes")
            assert client.wait(1, 20_000) == 1
        setup.master.kill()
        master = setup.wait_for_failover()
        assert master is setup.replicas[0]
        with master.client() as client:
            assert client.get("kept") == "yes"
            assert client.role()[0] == "master"


def test_a_cluster_has_an_owner_for_every_key() -> None:
    with running_cluster(password="secret") as setup:
        with setup.client() as client:
            client.mset_nonatomic({f"key-{number}": number for number in range(30)})
            sizes = {node.port: client.dbsize(target_nodes=client.get_node("127.0.0.1", node.port)) for node in setup.nodes}
        assert sum(sizes.values()) == 30
        assert all(sizes.values())
        owner = setup.owner_of("key-1")
        with owner.client() as client:
            assert client.get("key-1") == "1"
        owner.kill()
        with owner.client() as client, pytest.raises(RedisConnectionError):
            client.ping()


def test_a_replica_takes_the_slots_of_a_master_that_was_killed() -> None:
    with running_cluster(replicas=1) as setup:
        owner = setup.owner_of("kept")
        with owner.client() as client:
            client.set("kept", "yes")
            assert client.wait(1, 20_000) == 1
        owner.kill()
        setup.wait_for_failover(owner)
        with setup.client() as client:
            assert client.get("kept") == "yes"
        assert setup.owner_of("kept") is not owner
