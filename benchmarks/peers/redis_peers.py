"""Peers on Redis."""

from benchmarks.peers.table import Peers
from benchmarks.redis_raw import REDIS

_HIREDIS, _UVLOOP = "hiredis==3.5.0", "uvloop==0.23.0"

REDIS_PEERS = Peers(
    REDIS,
    {
        "taskiq": ("taskiq-redis==1.2.4", "taskiq==0.13.0", "orjson==3.13.0", _HIREDIS, _UVLOOP),
        "saq": ("saq==0.26.4", "redis==8.1.0", "orjson==3.13.0", "typing_extensions", _HIREDIS, _UVLOOP),
        "docket": ("pydocket==0.27.0", _HIREDIS, _UVLOOP),
        "streaq": ("streaq==7.2.0", _UVLOOP),
        "arq": ("arq==0.28.0", _HIREDIS, _UVLOOP),
        "dramatiq": ("dramatiq==2.2.1", "redis==8.1.0", _HIREDIS),
        "celery": ("celery==5.7.0", "redis==8.1.0", "packaging", _HIREDIS),
        "rq": ("rq==3.0.0", "redis==8.1.0", _HIREDIS),
    },
)
