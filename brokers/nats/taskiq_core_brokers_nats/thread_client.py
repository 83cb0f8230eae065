"""Renewing leases from a plain thread, while the event loop is stuck: with a connection and a loop of the call's own."""

import asyncio
from collections.abc import Sequence

from taskiq_core_brokers_nats.connection import logger
from taskiq_core_brokers_nats.errors import NatsError
from taskiq_core_brokers_nats.link import pub
from taskiq_core_brokers_nats.location import Location
from taskiq_core_brokers_nats.opening import open_link


def renew(location: Location, acks: Sequence[str], patience: float) -> bool:
    """True if the leases are renewed."""
    for address in location.servers:
        try:
            asyncio.run(_renew(location, address, acks, patience))
        except (NatsError, TimeoutError) as error:
            logger.debug("Leases could not be renewed from a thread: %s", error)
        else:
            return True
    return False


async def _renew(location: Location, address: tuple[str, int], acks: Sequence[str], patience: float) -> None:
    link = await open_link(location, address, patience)
    try:
        link.write(b"".join([pub(ack, b"+WPI") for ack in acks]))
        async with asyncio.timeout(patience):
            await link.flush()
    finally:
        link.close()
