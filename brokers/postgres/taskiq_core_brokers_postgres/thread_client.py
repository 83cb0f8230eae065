"""Renewing a lease from a plain thread, while the event loop is stuck: with a connection and a loop of the call's own."""

import asyncio
import logging

from taskiq_core_brokers_postgres.connecting import connect
from taskiq_core_brokers_postgres.database import in_schema
from taskiq_core_brokers_postgres.errors import DRIVER_ERRORS, PostgresError
from taskiq_core_brokers_postgres.leases import RENEW_ONLY
from taskiq_core_brokers_postgres.location import Location

logger = logging.getLogger("taskiq.postgres")


def renew(location: Location, worker: int, lease: float, patience: float) -> bool:
    """True if the lease is renewed."""
    try:
        return asyncio.run(_renew(location, worker, lease, patience))
    except (PostgresError, *DRIVER_ERRORS) as error:
        logger.debug("A lease could not be renewed from a thread: %s", error)
        return False


async def _renew(location: Location, worker: int, lease: float, patience: float) -> bool:
    connection = await connect(location, patience)
    try:
        async with asyncio.timeout(patience):
            return bool(await connection.fetch(in_schema(RENEW_ONLY, location.schema), worker, lease))
    finally:
        connection.terminate()
