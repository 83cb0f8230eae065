"""Making a connection."""

import asyncio
from typing import Any

import asyncpg

from taskiq_core_brokers_postgres.errors import DRIVER_ERRORS, explain, lost, unusable
from taskiq_core_brokers_postgres.location import Location

_driver: Any = asyncpg  # which has no types
_SETTINGS = {
    "plan_cache_mode": "force_generic_plan",
    # Whatever this server's default is: who has waited for a lock must see what the others did meanwhile.
    "default_transaction_isolation": "'read committed'",
    # All statements are made to walk an index in its order, whatever the statistics of a table say that was empty a moment ago.
    **dict.fromkeys(("enable_seqscan", "enable_bitmapscan", "enable_hashjoin", "enable_mergejoin", "jit"), "off"),
    # How long the server keeps a client whose host has vanished: a minute, rather than the two hours of most systems.
    "tcp_keepalives_idle": "30",
    "tcp_keepalives_interval": "10",
    "tcp_keepalives_count": "3",
    "tcp_user_timeout": "60000",
}
_LOCK_SHARE = 0.8
"""Of the patience, for waiting for a lock: the server says that it was a lock before we give up."""


async def connect(location: Location, patience: float) -> Any:
    """A new connection in the event loop that runs, for the caller to close.

    What a client keeps locked that stops in the middle of a transaction, the server frees after `patience` seconds.

    :raises PostgresError: if the server cannot be reached within the patience, or refuses us.
    """
    try:
        async with asyncio.timeout(patience):
            connection = await _driver.connect(location.dsn, server_settings={"application_name": "taskiq"})
            try:
                await connection.execute(_settings(patience))
            except BaseException:
                connection.terminate()
                raise
            return connection
    except TimeoutError:
        raise lost(location.server, f"no answer for {patience:g} s", certain=True) from None
    except (*DRIVER_ERRORS, ValueError) as error:
        found = unusable(error, location.server) or explain(error, location.server, connecting=True)
        raise found from error


def _settings(patience: float) -> str:
    """As statements, for poolers refuse what they do not know of in the first message of a connection."""
    whole = max(1, round(patience * 1000))
    settings = {
        **_SETTINGS,
        # A statement whose client has given up must not wait for ever on the server, nor may others wait for a frozen client.
        "statement_timeout": str(whole),
        "idle_in_transaction_session_timeout": str(whole),
        "lock_timeout": str(max(1, round(whole * _LOCK_SHARE))),
    }
    return "; ".join(f"SET {name} = {value}" for name, value in settings.items())
