"""A connection that is made when it is needed, and made anew when it broke."""

import asyncio
import time

from taskiq_core_brokers_rabbitmq.errors import RabbitError
from taskiq_core_brokers_rabbitmq.link import Link
from taskiq_core_brokers_rabbitmq.location import Location
from taskiq_core_brokers_rabbitmq.opening import connect

_HASTE = 0.1
"""Seconds after a failure within which others are told the same, rather than trying too."""


class Connector:
    """The connection of one part of a process.

    :param patience: seconds within which the server must have answered.
    :param heartbeat: seconds without a sign of life after which a connection is given up.
    """

    def __init__(self, location: Location, name: str, *, patience: float, heartbeat: float) -> None:
        self.location = location
        self.patience = patience
        self._name = name
        self._heartbeat = heartbeat
        self._link: Link | None = None
        self._connecting = asyncio.Lock()
        self._failure: RabbitError | None = None
        self._failed_at = 0.0

    @property
    def current(self) -> Link | None:
        """The connection, if there is one that works."""
        return self._link if self._link is not None and self._link.usable else None

    async def link(self) -> Link:
        """The connection.

        :raises RabbitError: if the server cannot be reached within the patience, or refuses us.
        """
        if self._link is not None and self._link.usable:
            return self._link
        async with self._connecting:
            if self._link is not None and self._link.usable:
                return self._link
            if self._failure is not None and time.monotonic() - self._failed_at < _HASTE:
                raise self._failure.with_traceback(None)
            try:
                fresh = await connect(self.location, name=self._name, heartbeat=self._heartbeat, patience=self.patience)
            except RabbitError as error:
                self._failure, self._failed_at = error, time.monotonic()
                raise
            self.close()
            self._failure, self._link = None, fresh
            return fresh

    def close(self) -> None:
        """Close what is open; `link` opens it again."""
        link, self._link = self._link, None
        if link is not None:
            link.close()
