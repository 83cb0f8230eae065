"""A Redis Cluster of real nodes."""

import subprocess
import time
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from redis import Redis
from redis.cluster import ClusterNode, RedisCluster
from support.processes import DEADLINE
from support.redis_server import RedisServer
from support.server_programs import REDIS
from support.tcp_ports import LOOPBACK


@dataclass(frozen=True)
class ClusterSetup:
    """Nodes that can be killed, paused and restarted one by one; which is a master and which a replica may change."""

    nodes: list[RedisServer]

    @property
    def url(self) -> str:
        """`redis+cluster://` with the password and the addresses of all nodes."""
        credentials = self.nodes[0].url.removeprefix("redis://").rpartition("@")[0]
        hosts = ",".join(f"{LOOPBACK}:{node.port}" for node in self.nodes)
        return f"redis+cluster://{credentials + '@' if credentials else ''}{hosts}"

    def client(self) -> RedisCluster:
        """A blocking client for what a test has to arrange or look at; use it as a context manager."""
        nodes = [ClusterNode(LOOPBACK, node.port) for node in self.nodes]
        return RedisCluster(startup_nodes=nodes, password=self.nodes[0].password or None, decode_responses=True)

    def owner_of(self, key: str) -> RedisServer:
        """The master of the key's slot."""
        with self.client() as client:
            port = client.get_node_from_key(key).port
        return next(node for node in self.nodes if node.port == port)

    def wait_for_failover(self, down: RedisServer, timeout: float = DEADLINE) -> None:
        """Wait until all the other nodes agree that others have the slots of `down`.

        :raises AssertionError: with the log of a node that does not, after `timeout` seconds.
        """
        deadline = time.monotonic() + timeout
        for node in self.nodes:
            with node.client() as client:
                while node is not down and not _is_whole_without(client, down.port):
                    assert time.monotonic() < deadline, node.process.report
                    time.sleep(0.05)  # nothing tells of the agreement: it is in the answers of each node


def _is_whole_without(client: Redis, port: int) -> bool:
    nodes = client.execute_command("CLUSTER NODES")
    slots = nodes.get(f"{LOOPBACK}:{port}", {"slots": []})["slots"]
    return not slots and client.execute_command("CLUSTER INFO")["cluster_state"] == "ok"


@contextmanager
def running_cluster(*config: str, replicas: int = 0, password: str = "", node_timeout: float = 2) -> Generator[ClusterSetup]:
    """Three masters with `replicas` replicas each. `config` are lines for every node.

    A node that has not answered for `node_timeout` seconds is down.
    """
    lines = ("cluster-enabled yes", f"cluster-node-timeout {node_timeout * 1000:.0f}", *config)
    with ExitStack() as stack:
        nodes = [stack.enter_context(RedisServer(*lines, password=password)) for _ in range(3 * (1 + replicas))]
        create = ["--cluster", "create", *(f"{LOOPBACK}:{node.port}" for node in nodes)]
        create += ["--cluster-replicas", str(replicas), "--cluster-yes", "--no-auth-warning"]
        if password:
            create += ["-a", password]
        command = [REDIS.beside("redis-cli", "valkey-cli"), *create]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=2 * DEADLINE)
        assert done.returncode == 0, done.stdout + done.stderr
        for node in nodes:
            node.process.wait_for_line("Cluster state changed: ok")
        for replica in nodes[3:]:  # the command makes masters of the first ones
            replica.process.wait_for_line("sync: Finished with success")
        yield ClusterSetup(nodes)
