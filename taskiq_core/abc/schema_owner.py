"""Brokers, result backends and schedule sources that keep their state in tables, and bringing these up to date by hand."""

from abc import ABC, abstractmethod
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SchemaVersion:
    """Of what version some tables are, and of what version this release needs them."""

    place: str
    """Where they are, for people; equal for all who share them. Holds no secret."""
    found: int
    """0 where there are none."""
    needed: int

    @property
    def is_current(self) -> bool:
        """Whether this release can use them."""
        return self.found == self.needed


class SchemaOwner(ABC):
    """Has tables. Both methods need no `startup`, and do the same whatever the owner does about its tables at its own."""

    @abstractmethod
    async def schema_version(self) -> SchemaVersion:
        """Look, and change nothing. Cancelling is safe.

        :raises BrokerError: if the tables cannot be reached.
        """

    @abstractmethod
    async def upgrade_schema(self) -> SchemaVersion:
        """Carry out what is missing, in one transaction, and return what there was before.

        Any number of processes may call it at once, and again: one of them finds the old tables, the others the new ones.
        Cancelling is safe: all of it has taken place, or nothing.

        :raises ConfigurationError: if a newer release made the tables, or the rights are missing.
        :raises BrokerError: if the tables cannot be reached.
        """
