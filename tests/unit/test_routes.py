"""Queues, priorities and delays by the names of tasks."""

from datetime import timedelta

import pytest
from support.scheduling import KeepingBroker, MemorySource

from taskiq_core import Capability, Cron, InMemoryBroker, Route, TaskRouter, UnsupportedOptionError
from taskiq_core.broker import shared_tasks
from taskiq_core.brokers.shared import AsyncSharedBroker
from taskiq_core.cli.queue_names import queues_of
from taskiq_core.exceptions import ConfigurationError
from taskiq_core.schedule_sources import LabelScheduleSource

pytestmark = pytest.mark.anyio


class PlacingBroker(KeepingBroker):
    capabilities = Capability.QUEUES | Capability.PRIORITY | Capability.DELAY


async def job() -> None:
    return None


def routed() -> PlacingBroker:
    broker = PlacingBroker()
    return broker.with_routes(
        {
            "reports.*": {"queue": "io"},
            "video.[ab]": Route(queue="cpu", priority=3, delay=timedelta(minutes=1)),
            "*": Route(priority=1),
            "reports.urgent": Route(queue="vip"),
        }
    )


async def test_an_exact_name_beats_patterns_and_the_first_pattern_wins() -> None:
    broker = routed()
    for name in ("reports.daily", "reports.urgent", "video.a", "video.c"):
        await broker.kicker(name).kiq()
    assert [message.labels for message in broker.sent] == [
        {"queue_name": "io"},
        {"queue_name": "vip"},
        {"queue_name": "cpu", "priority": 3, "delay": 60.0},
        {"priority": 1},
    ]


async def test_one_send_beats_the_route_which_beats_the_option() -> None:
    broker = routed()
    task = broker.register_task(job, "reports.daily", queue="option", priority=9)
    await task.kiq()
    await task.kicker().with_queue("here").kiq()
    assert [message.labels for message in broker.sent] == [
        {"queue_name": "io", "priority": 9},
        {"queue_name": "here", "priority": 9},
    ]


async def test_another_broker_sends_by_its_own_routes() -> None:
    broker, other = routed(), PlacingBroker()
    task = broker.register_task(job, "video.a", queue="option")
    await task.kicker().with_priority(8).with_broker(other).kiq()
    assert other.sent[0].labels == {"queue_name": "option", "priority": 8}
    await task.kicker().with_broker(other.with_routes({"video.a": {"queue": "other"}})).kiq()
    assert other.sent[1].labels == {"queue_name": "other"}


async def test_routers_and_shared_tasks_are_routed() -> None:
    broker, router, shared = routed(), TaskRouter(), AsyncSharedBroker()
    task = router.register_task(job, "reports.daily")
    broker.include_router(router)
    await task.kiq()
    shared.default_broker(broker)
    shared._registry = type(shared._registry)()
    await shared.register_task(job, "reports.shared").kiq()
    assert [message.labels for message in broker.sent] == [{"queue_name": "io"}] * 2


async def test_by_name_a_shared_task_is_sent_through_the_broker_that_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    default, asked = routed(), PlacingBroker().with_routes({"reports.shared": {"queue": "mine"}})
    monkeypatch.setattr(shared_tasks, "_tasks", {})
    shared = AsyncSharedBroker()
    shared.default_broker(default)
    shared.register_task(job, "reports.shared")
    await asked.kicker("reports.shared").kiq()
    assert (default.sent, asked.sent[0].labels) == ([], {"queue_name": "mine"})


async def test_schedules_are_routed_and_workers_serve_the_routes_of_their_tasks() -> None:
    broker, source = routed(), MemorySource()
    task = broker.register_task(job, "reports.daily", schedule=Cron("0 2 * * *"))
    created = await task.schedule_by_cron(source, "* * * * *")
    (fixed,) = await LabelScheduleSource(broker).get_schedules()
    assert created.task.labels == fixed.labels == {"queue_name": "io"}
    assert queues_of(broker) == ("default", "io")


async def test_a_route_that_the_broker_cannot_serve_is_refused_at_start_up() -> None:
    broker = KeepingBroker().with_routes({"reports.*": {"queue": "io"}})
    with pytest.raises(UnsupportedOptionError, match="The route 'reports\\.\\*' asks for queue='io'"):
        await broker.startup()


@pytest.mark.parametrize("route", [{"queue": "a,b"}, {"priority": 10}, {"delay": -1}, {"lane": "io"}, "io"])
def test_a_route_that_cannot_be_read_is_refused_at_once(route: object) -> None:
    with pytest.raises(ConfigurationError, match=r"The route 'r\.\*' cannot be read"):
        InMemoryBroker().with_routes({"r.*": route})  # type: ignore[dict-item]
