"""Streams and consumers, made where they are missing."""

from collections.abc import Mapping
from typing import Any

from taskiq_core_brokers_nats.connection import Connection, logger
from taskiq_core_brokers_nats.errors import (
    CONSUMER_NOT_FOUND,
    STREAM_EXISTS,
    STREAM_NOT_FOUND,
    NatsError,
    UnusableNatsError,
)
from taskiq_core_brokers_nats.names import DELAYED, Names

_SECOND = 1_000_000_000
_LIMITS = ("max_age", "max_msgs", "max_bytes")
_DELAYED_WAIT = 2
"""Seconds after which delayed messages are delivered again, should a server that was killed have forgotten their delays."""
DEDUPLICATION = 120
"""Seconds in which a stream knows a message that is sent again; far more than any send tries."""


class Topology:
    """The streams of one prefix."""

    def __init__(self, connection: Connection, replicas: int) -> None:
        self._connection = connection
        self._replicas = replicas
        self.known = False
        """Whether all has been there, as far as anybody knows."""
        self.names = Names(connection.location.prefix)

    async def ensure(self) -> None:
        """Make what is missing, and look at what is there.

        :raises UnusableNatsError: if a stream is there that is not as ours have to be.
        """
        prefix = self.names.prefix
        await self._stream(self.names.queues, [f"{prefix}.q.>", f"{prefix}.d.>"], retention="workqueue", max_msgs_per_subject=1)
        await self._stream(self.names.dead, [f"{prefix}.x.>"], retention="limits", max_msgs_per_subject=-1)
        await self._stream(self.names.state, [f"{prefix}.s.>"], retention="limits", max_msgs_per_subject=1)
        self.known = True

    async def _stream(self, name: str, subjects: list[str], **terms: Any) -> None:
        wanted = {"subjects": subjects, "storage": "file", "discard": "old", **terms}
        try:
            found = await self._connection.api(f"STREAM.INFO.{name}")
        except NatsError as error:
            if error.code != STREAM_NOT_FOUND:
                raise
            more = {"name": name, "num_replicas": self._replicas, "duplicate_window": DEDUPLICATION * _SECOND}
            try:
                found = await self._connection.api(f"STREAM.CREATE.{name}", {**wanted, **more})
            except NatsError as failure:
                if failure.code != STREAM_EXISTS:
                    raise
                found = await self._connection.api(f"STREAM.INFO.{name}")  # somebody else was faster
        self._compare(name, wanted, found["config"])

    def _compare(self, name: str, wanted: Mapping[str, Any], found: Mapping[str, Any]) -> None:
        wrong = [
            f"{key} is {found.get(key)!r} and has to be {value!r}" for key, value in wanted.items() if found.get(key) != value
        ]
        if name == self.names.queues:
            wrong += [f"{key} is set, which deletes messages" for key in _LIMITS if found.get(key, 0) > 0]
        if wrong:
            server = self._connection.location.server
            reason = (
                f"NATS at {server} has a stream {name} that is not ours, or was changed: {'; '.join(wrong)}. "
                "Choose another prefix with ?prefix=name, or put it right with `nats stream edit`."
            )
            raise UnusableNatsError(reason=reason)

    async def consumer(self, queue: str, level: str, lease: float) -> str:
        """Make the consumer of one part of a queue, unless it is there; returns its name."""
        name = self.names.consumer(queue, level)
        wait = round((_DELAYED_WAIT if level == DELAYED else lease) * _SECOND)
        stream = self.names.queues
        config = {
            "durable_name": name,
            "filter_subject": self.names.filter(queue, level),
            "deliver_policy": "all",
            "ack_policy": "explicit",
            "replay_policy": "instant",
            "ack_wait": wait,
            "max_deliver": -1,
            "max_ack_pending": -1,
            "max_waiting": 8192,
        }
        try:
            found = await self._connection.api(f"CONSUMER.INFO.{stream}.{name}")
        except NatsError as error:
            if error.code != CONSUMER_NOT_FOUND:
                raise
        else:
            had = found["config"]["ack_wait"]
            if had > wait:  # workers that count on it may be at work, and would lose what they hold
                logger.warning(
                    "Queue %s keeps the lease of %g s that it has, and does not get one of %g s: "
                    "to lower it, stop its workers and delete its consumer %s of stream %s.",
                    queue, had / _SECOND, wait / _SECOND, name, stream,
                )  # fmt: skip
            if had >= wait:
                return name
            config = {**found["config"], "ack_wait": wait}
            logger.warning("Queue %s had a lease of %g s, and has one of %g s now.", queue, had / _SECOND, wait / _SECOND)
        await self._connection.api(f"CONSUMER.DURABLE.CREATE.{stream}.{name}", {"stream_name": stream, "config": config})
        return name
