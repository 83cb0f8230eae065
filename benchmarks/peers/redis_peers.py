"""Peers on Redis."""

from benchmarks.peers.environments import CELERY, DRAMATIQ, HIREDIS, UVLOOP
from benchmarks.peers.table import Peers
from benchmarks.redis_raw import REDIS

REDIS_PEERS = Peers(
    REDIS,
    {
        "taskiq": ("taskiq-redis==1.2.4", "taskiq==0.13.0", "orjson==3.13.0", HIREDIS, UVLOOP),
        "saq": ("saq==0.26.4", "redis==8.1.0", "orjson==3.13.0", "typing_extensions", HIREDIS, UVLOOP),
        "docket": ("pydocket==0.27.0", HIREDIS, UVLOOP),
        "streaq": ("streaq==7.2.0", UVLOOP),
        "arq": ("arq==0.28.0", HIREDIS, UVLOOP),
        "dramatiq": DRAMATIQ,
        "celery": CELERY,
        "rq": ("rq==3.0.0", "redis==8.1.0", HIREDIS),
    },
)
