"""Peers on RabbitMQ."""

from benchmarks.peers.environments import CELERY, DRAMATIQ, HIREDIS, UVLOOP
from benchmarks.peers.table import Peers
from benchmarks.rabbitmq_raw import RABBITMQ

RABBITMQ_PEERS = Peers(
    RABBITMQ,
    {
        "taskiq": ("taskiq-aio-pika==0.6.1", "taskiq==0.13.0", "taskiq-redis==1.2.4", "orjson==3.13.0", HIREDIS, UVLOOP),
        "dramatiq": DRAMATIQ,
        "celery": CELERY,
    },
)
