"""dramatiq on RabbitMQ, see `dramatiq_peer.py`: with confirms."""

from functools import partial

from dramatiq.brokers.rabbitmq import RabbitmqBroker
from dramatiq_peer import DramatiqPeer
from rabbitmq_harness import SERVER, Peer, run


class OnRabbit(DramatiqPeer, Peer):
    pass


run(OnRabbit(partial(RabbitmqBroker, url=SERVER.url, confirm_delivery=True)))
