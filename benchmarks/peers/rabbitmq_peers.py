"""Peers on RabbitMQ."""

from benchmarks.peers.table import Peers
from benchmarks.rabbitmq_raw import RABBITMQ

_HIREDIS, _UVLOOP = "hiredis==3.5.0", "uvloop==0.23.0"

RABBITMQ_PEERS = Peers(
    RABBITMQ,
    {
        "taskiq": ("taskiq-aio-pika==0.6.1", "taskiq==0.13.0", "taskiq-redis==1.2.4", "orjson==3.13.0", _HIREDIS, _UVLOOP),
        "dramatiq": ("dramatiq==2.2.1", "pika==1.4.4", "redis==8.1.0", _HIREDIS),
        "celery": ("celery==5.7.0", "redis==8.1.0", "packaging", _HIREDIS),
    },
)
