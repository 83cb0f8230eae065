"""NATS JetStream broker for taskiq_core, and the connection that all NATS plugins share."""

from taskiq_core_brokers_nats.connection import Connection
from taskiq_core_brokers_nats.errors import NatsError
from taskiq_core_brokers_nats.location import Location, locate, options_in

__all__ = ["Connection", "Location", "NatsError", "locate", "options_in"]
