"""What we, and raw loops, do of what is asked of the peers. With uvloop, as all peers that support it."""

from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any

import anyio

from benchmarks.clock import Time
from benchmarks.figures import percentile
from benchmarks.sending import Send, concurrently, fill, in_bulk, singly, timed
from benchmarks.stores import Raw, Store
from benchmarks.waiting import fans, round_trips

Figures = Mapping[str, float]
_LOOP = "uvloop"
_DRAINS = 20_000


def measure_ours(store: Store[Any]) -> Figures:
    """All of it."""
    return {**_sending(store), **_draining(store), **_waiting(store)}


def measure_raw(store: Store[Any]) -> Figures:
    """As far as there is something to compare with; its worker and its client are one process, on asyncio's own loop."""

    def run(raw: Raw, count: int) -> Time:
        measured: Time = store.raw(raw, count)
        return measured

    drained, trips = run(store.drain, _DRAINS), store.raw(store.round_trips, 500)
    return {
        "send_singly": 3_000 / run(store.add_singly, 3_000).wall,
        "send_in_bulk": 20_000 / run(store.add_in_batches, 20_000).wall,
        "drain": _DRAINS / drained.wall,
        "drain_cpu": drained.cpu / _DRAINS * 1e6,
        "round_trip_p50": percentile(trips, 50),
        "round_trip_p99": percentile(trips, 99),
    }


def _run(function: Callable[..., Awaitable[Any]], *args: Any) -> Any:
    return anyio.run(partial(function, *args), backend="asyncio", backend_options={"use_uvloop": True})


def _sending(store: Store[Any]) -> Figures:
    ways: tuple[tuple[str, Send, int], ...] = (
        ("send_singly", singly, 2_000),
        ("send_concurrently", concurrently, 10_000),
        ("send_in_bulk", in_bulk, 20_000),
    )
    rates: dict[str, float] = {}
    for name, send, count in ways:
        with store.arena() as place:
            rates[name] = count / _run(timed, place, send, count).wall
    return rates


def _draining(store: Store[Any]) -> Figures:
    with store.arena() as place:
        _run(fill, place, _DRAINS)
        before = place.server.cpu()
        drained = place.drain(_LOOP)
        used = place.server.cpu() - before
    assert drained.tasks == _DRAINS, f"{drained.tasks} of {_DRAINS} tasks ran"
    rates = {"drain": _DRAINS / drained.time.wall, "drain_cpu": drained.time.cpu / _DRAINS * 1e6}
    return {**rates, "drain_server_cpu": used / _DRAINS * 1e6}


def _waiting(store: Store[Any]) -> Figures:
    with store.arena() as place, place.worker(_LOOP):
        trips, widths = _run(round_trips, place, 300), _run(fans, place, 1000, 3)
    return {
        "round_trip_p50": percentile(trips, 50),
        "round_trip_p99": percentile(trips, 99),
        "fan_out_in": percentile(widths, 50),
    }
