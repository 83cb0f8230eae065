"""RabbitMQ broker for taskiq_core."""

from taskiq_core_brokers_rabbitmq.broker import RabbitBroker
from taskiq_core_brokers_rabbitmq.errors import RabbitError
from taskiq_core_brokers_rabbitmq.location import Location, locate
from taskiq_core_brokers_rabbitmq.subscription import RabbitSubscription

__all__ = ["Location", "RabbitBroker", "RabbitError", "RabbitSubscription", "locate"]
