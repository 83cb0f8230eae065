"""What we, and raw redis-py, do of what is asked of the peers on Redis. With uvloop, as all peers that support it."""

from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any

import anyio

from benchmarks import redis_raw
from benchmarks.clock import Time
from benchmarks.figures import percentile
from benchmarks.redis_arena import redis_arena
from benchmarks.redis_server import redis_server
from benchmarks.sending import Send, concurrently, fill, in_bulk, singly, timed
from benchmarks.waiting import fans, round_trips

Figures = Mapping[str, float]
_LOOP = "uvloop"
_DRAINS = 20_000


def measure_ours() -> Figures:
    """All of it."""
    return {**_sending(), **_draining(), **_waiting()}


def measure_raw() -> Figures:
    """As far as there is something to compare with; its worker and its client are one process, on asyncio's own loop."""

    def rate(raw: redis_raw.Raw, count: int) -> tuple[float, Time, float]:
        with redis_server() as server:
            time = redis_raw.on(server, raw, count)
            return count / time.wall, time, server.cpu()

    drain_rate, time, _ = rate(redis_raw.drain, _DRAINS)
    with redis_server() as server:
        trips = redis_raw.on(server, redis_raw.round_trips, 500)
    return {
        "send_singly": rate(redis_raw.add_singly, 3_000)[0],
        "send_in_bulk": rate(redis_raw.add_in_batches, 20_000)[0],
        "drain": drain_rate,
        "drain_cpu": time.cpu / _DRAINS * 1e6,
        "round_trip_p50": percentile(trips, 50),
        "round_trip_p99": percentile(trips, 99),
    }


def _run(function: Callable[..., Awaitable[Any]], *args: Any) -> Any:
    return anyio.run(partial(function, *args), backend="asyncio", backend_options={"use_uvloop": True})


def _sending() -> Figures:
    ways: tuple[tuple[str, Send, int], ...] = (
        ("send_singly", singly, 2_000),
        ("send_concurrently", concurrently, 10_000),
        ("send_in_bulk", in_bulk, 20_000),
    )
    rates: dict[str, float] = {}
    for name, send, count in ways:
        with redis_arena() as place:
            rates[name] = count / _run(timed, place, send, count).wall
    return rates


def _draining() -> Figures:
    with redis_arena() as place:
        _run(fill, place, _DRAINS)
        before = place.server.cpu()
        drained = place.drain(_LOOP)
        used = place.server.cpu() - before
    assert drained.tasks == _DRAINS, f"{drained.tasks} of {_DRAINS} tasks ran"
    rates = {"drain": _DRAINS / drained.time.wall, "drain_cpu": drained.time.cpu / _DRAINS * 1e6}
    return {**rates, "drain_server_cpu": used / _DRAINS * 1e6}


def _waiting() -> Figures:
    with redis_arena() as place, place.worker(_LOOP):
        trips, widths = _run(round_trips, place, 300), _run(fans, place, 1000, 3)
    return {
        "round_trip_p50": percentile(trips, 50),
        "round_trip_p99": percentile(trips, 99),
        "fan_out_in": percentile(widths, 50),
    }
