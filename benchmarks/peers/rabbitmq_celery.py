"""celery on RabbitMQ, see `celery_peer.py`: with confirms."""

from celery_peer import CeleryPeer
from rabbitmq_harness import SERVER, Peer, run


class OnRabbit(CeleryPeer, Peer):
    pass


run(OnRabbit(SERVER.url, broker_transport_options={"confirm_publish": True}))
