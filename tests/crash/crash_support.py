"""Checks that several crash tests share."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from arena import GRACE, Arena
from support.processes import RunningProcess, children_of

on_sqlite = pytest.mark.parametrize("arena", ["sqlite"], indirect=True)
on_redis = pytest.mark.parametrize("arena", ["redis"], indirect=True)

SERVERS = ("redis", "postgres", "nats", "rabbitmq")
EVERYWHERE = ("sqlite", *SERVERS)
on_servers = pytest.mark.parametrize("arena", SERVERS, indirect=True)
on_every_coordinator = pytest.mark.parametrize("arena", ["sqlite", "redis", "postgres"], indirect=True)
"""NATS and RabbitMQ are none, so limits, uniqueness and marks of cancelled tasks are not kept there."""
on_every_store = pytest.mark.parametrize("arena", EVERYWHERE, indirect=True)
"""For what shows most in the least time; the others run in files and on Redis only."""

LEAVES_WITHIN = 2.0
"""Seconds after the grace."""


def kinds_of_task(first: str, *others: str, sqlite: tuple[str, ...] = ()) -> pytest.MarkDecorator:
    """Run a test with each of these as `task`: the first on every store, others in files and on Redis.

    Those in `sqlite` differ only in the worker, so one store is enough for them.
    """
    cases = [(store, first) for store in EVERYWHERE]
    cases += [(store, task) for task in others for store in ("sqlite", "redis")]
    cases += [("sqlite", task) for task in sqlite]
    return pytest.mark.parametrize(("arena", "task"), cases, indirect=["arena"])


def stop_in_time(process: RunningProcess, grace: float = GRACE) -> None:
    assert process.stop(grace + LEAVES_WITHIN) in (0, 1)


@contextmanager
def alone(arena: Arena, worker: RunningProcess) -> Iterator[None]:
    """After the block the same process still runs tasks, and nothing is left in the queue."""
    ids = arena.send("quick", ("before",))
    assert arena.results(ids)[0].return_value == "before"
    processes = children_of(worker.pid)
    yield
    ids = arena.send("quick", ("after",))
    assert arena.results(ids)[0].return_value == "after"
    arena.wait_empty()
    assert worker.returncode is None
    assert [pid for pid in processes if pid in children_of(worker.pid)] == processes
