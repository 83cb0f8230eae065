"""Asking for something by its name, which may be gone: operators delete queues."""

from typing import Any

from pamqp import commands

from taskiq_core_brokers_rabbitmq.errors import ChannelClosedError
from taskiq_core_brokers_rabbitmq.link import Link

_NOT_FOUND = 404


async def ask_for(link: Link, question: Any, patience: float) -> Any | None:
    """The answer to a question about something; None if it does not exist, which is an error in the server's log too.

    :raises RabbitError: if the server refuses or does not answer.
    """
    channel = link.reserve()
    try:
        return (await channel.call(commands.Channel.Open(), question, patience=patience))[-1]
    except ChannelClosedError as error:
        if error.code != _NOT_FOUND:
            raise
        return None
    finally:
        channel.close()
