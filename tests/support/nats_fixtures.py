"""Fixtures of the NATS tests; a conftest.py imports them by name."""

from collections.abc import Callable

from support import nats_servers
from support.nats_server import NatsServer
from support.server_fixtures import name_within, shared_url_of, starter_of

StartNats = Callable[..., NatsServer]

nats_url = shared_url_of(NatsServer)
nats_prefix = name_within(nats_servers.nats_prefix)
start_nats = starter_of(NatsServer)
