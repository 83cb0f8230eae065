"""A master, its replicas and the Sentinels that watch them."""

from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from support.processes import DEADLINE
from support.redis_server import RedisServer
from support.tcp_ports import LOOPBACK

SERVICE = "main"


class SentinelServer(RedisServer):
    """A `RedisServer` that watches others; its client speaks the commands of a Sentinel."""

    _arguments = ("--sentinel",)
    _ready = r"\+monitor "

    def _defaults(self) -> list[str]:
        return [f"bind {LOOPBACK}", f"port {self.port}", f"dir {self.folder}", 'logfile ""', "daemonize no"]


@dataclass(frozen=True)
class SentinelSetup:
    """Servers that can be killed, paused and restarted one by one. Only the names are as at the start."""

    master: RedisServer
    replicas: list[RedisServer]
    sentinels: list[SentinelServer]

    @property
    def url(self) -> str:
        """`redis+sentinel://` with the password of the servers, all Sentinels, the service and database 0."""
        credentials = self.master.url.removeprefix("redis://").rpartition("@")[0]
        hosts = ",".join(f"{LOOPBACK}:{sentinel.port}" for sentinel in self.sentinels)
        return f"redis+sentinel://{credentials + '@' if credentials else ''}{hosts}/{SERVICE}/0"

    def wait_for_failover(self, timeout: float = DEADLINE) -> RedisServer:
        """Wait until a living Sentinel tells another master than the first, and return that server.

        :raises AssertionError: if that does not come after `timeout` seconds.
        """
        sentinel = next(sentinel for sentinel in self.sentinels if sentinel.process.returncode is None)
        line = sentinel.process.wait_for_line(rf"\+switch-master {SERVICE} {LOOPBACK} {self.master.port} ", timeout=timeout)
        port = int(line.split()[-1])
        return next(replica for replica in self.replicas if replica.port == port)


@contextmanager
def running_sentinel(*config: str, replicas: int = 1, password: str = "", down_after: float = 1) -> Generator[SentinelSetup]:
    """Three Sentinels, of which two decide. `config` are lines for the servers.

    A server that has not answered for `down_after` seconds is down.
    """
    with ExitStack() as stack:
        master = stack.enter_context(RedisServer(*config, password=password))
        follow = f"replicaof {LOOPBACK} {master.port}"
        followers = [stack.enter_context(RedisServer(*config, follow, password=password)) for _ in range(replicas)]
        for follower in followers:
            # A Sentinel asks a master for its replicas once at first, and again only after ten seconds.
            follower.process.wait_for_line("sync: Finished with success")
        watch = [
            f"sentinel monitor {SERVICE} {LOOPBACK} {master.port} 2",
            f"sentinel down-after-milliseconds {SERVICE} {down_after * 1000:.0f}",
            f"sentinel failover-timeout {SERVICE} 5000",
        ]
        if password:
            watch.append(f"sentinel auth-pass {SERVICE} {master.quoted_password}")
        sentinels = [stack.enter_context(SentinelServer(*watch)) for _ in range(3)]
        for sentinel in sentinels:
            sentinel.process.wait_for_line(r"\+slave slave ", count=replicas)
            sentinel.process.wait_for_line(r"\+sentinel sentinel ", count=2)
        yield SentinelSetup(master, followers, sentinels)
