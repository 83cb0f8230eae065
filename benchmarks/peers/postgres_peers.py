"""Peers on PostgreSQL."""

from benchmarks.peers.table import Peers
from benchmarks.postgres_raw import POSTGRES

POSTGRES_PEERS = Peers(
    POSTGRES,
    {
        "pgqueuer": ("pgqueuer==1.6.0", "asyncpg==0.32.0", "uvloop==0.23.0"),
        "procrastinate": ("procrastinate==3.10.0", "psycopg[binary]==3.3.9"),
    },
)
