"""The methods of AMQP that declare queues, exchanges and bindings; all are durable, and may be carried out again."""

from collections.abc import Mapping
from typing import Any

from pamqp import commands


def exchange(name: str, kind: str) -> Any:
    """An exchange, of a type of AMQP."""
    return commands.Exchange.Declare(exchange=name, exchange_type=kind, durable=True)


def queue(name: str, arguments: Mapping[str, Any]) -> Any:
    """A queue."""
    return commands.Queue.Declare(queue=name, durable=True, arguments=dict(arguments))


def binding(queue: str, exchange: str, key: str) -> Any:
    """From an exchange to a queue."""
    return commands.Queue.Bind(queue=queue, exchange=exchange, routing_key=key)


def onward(destination: str, source: str, key: str) -> Any:
    """From an exchange to another."""
    return commands.Exchange.Bind(destination=destination, source=source, routing_key=key)


def identity(item: Any) -> str:
    """What is the same for two methods that declare the same."""
    if isinstance(item, commands.Queue.Declare):
        return str(item.queue)
    if isinstance(item, commands.Exchange.Declare):
        return f"exchange {item.exchange}"
    target = item.queue if isinstance(item, commands.Queue.Bind) else item.destination
    source = item.source if isinstance(item, commands.Exchange.Bind) else item.exchange
    return f"{target} from {source} by {item.routing_key}"
