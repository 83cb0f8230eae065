"""Redis as a cache throws away what it likes; queues must not be kept so."""

import logging

from taskiq_core_brokers_redis.errors import RedisError
from taskiq_core_brokers_redis.line import Line

logger = logging.getLogger("taskiq.redis")


async def warn_of_eviction(line: Line) -> None:
    """Log a warning if the server evicts keys when its memory is full. Says nothing where it does not tell.

    :raises RedisError: if there is no connection to be had.
    """
    await line.link()
    try:
        info: bytes | str = await line.call("INFO", "memory")
    except RedisError as error:
        if error.passing:
            raise
        return
    text = info.decode() if isinstance(info, bytes) else str(info)
    head = "maxmemory_policy:"
    policy = next((fact.removeprefix(head) for fact in text.splitlines() if fact.startswith(head)), "noeviction")
    if policy == "noeviction":
        return
    victims = "results, which have a time to live" if policy.startswith("volatile") else "any key, queued tasks included"
    logger.warning(
        "Redis at %s has maxmemory-policy %s: when its memory is full it deletes %s. Set it to noeviction.",
        line.server.place, policy, victims,
    )  # fmt: skip
