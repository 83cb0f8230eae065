"""NATS JetStream broker for taskiq_core, and the connection that all NATS plugins share."""

from taskiq_core_brokers_nats.broker import NatsBroker
from taskiq_core_brokers_nats.connection import Connection
from taskiq_core_brokers_nats.errors import NatsError
from taskiq_core_brokers_nats.location import Location, locate, options_in
from taskiq_core_brokers_nats.subscription import NatsSubscription

__all__ = ["Connection", "Location", "NatsBroker", "NatsError", "NatsSubscription", "locate", "options_in"]
