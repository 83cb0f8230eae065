"""Ports of the loopback interface for servers that tests start."""

import random
import socket

LOOPBACK = "127.0.0.1"
FIRST, LAST = 10_000, 22_000
"""Below the range of outgoing connections, so that none takes the port of a server that is down for a while.

A Cluster node also listens on its port plus 10,000, which is below that range too.
"""


def free_port() -> int:
    """A port that nobody listens on at this moment. Somebody may be faster: be ready to ask for another one."""
    for port in random.SystemRandom().sample(range(FIRST, LAST), 100):
        if _is_free(port) and _is_free(port + 10_000):
            return port
    raise OSError("100 ports tried, all taken")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True
