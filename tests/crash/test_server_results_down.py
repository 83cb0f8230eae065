"""The result store on another server than the queues, out of reach for longer than the lease while tasks finish (G7).

Not with queues on RabbitMQ: results are on Redis then, which is told with queues on Redis.
"""

import time
from collections.abc import Callable

import anyio
import pytest
from arena import Arena
from crash_support import SERVERS
from server_stores import ServerStore
from support.processes import children_of

from taskiq_core.defaults import SEND_TIMEOUT

RESULTS = [store for store in SERVERS if store != "rabbitmq"]
pytestmark = [pytest.mark.crash, pytest.mark.parametrize("arena", RESULTS, indirect=True)]

KEYS = [f"k{number}" for number in range(100)]
DURING = [f"during{number}" for number in range(20)]
AFTER = [f"after{number}" for number in range(20)]
AWAY = 5.0

TROUBLES: dict[str, tuple[Callable[[ServerStore], object], Callable[[ServerStore], object]]] = {
    "killed": (lambda store: store.results_server.kill(), lambda store: store.results_server.start()),
    "black hole": (lambda store: store.results_proxy.black_hole(), lambda store: store.results_proxy.resume()),
}


@pytest.mark.parametrize("trouble", TROUBLES)
def test_every_result_is_there_afterwards_and_sending_never_waits_for_it(arena: Arena[ServerStore], trouble: str) -> None:
    begin, end = TROUBLES[trouble]
    arena.store.part()
    with arena.worker("--concurrency", "8") as supervisor:
        ids = arena.send("nap", *((key, 0.1) for key in KEYS))
        arena.wait_start(KEYS[20])
        workers = children_of(supervisor.pid)
        begin(arena.store)
        begun = time.monotonic()
        ids += anyio.run(send_during, arena)
        assert time.monotonic() - begun < SEND_TIMEOUT
        time.sleep(begun + AWAY - time.monotonic())
        end(arena.store)
        ids += arena.send("quick", *((key,) for key in AFTER))
        results = arena.results(ids)
        arena.wait_empty()
        assert children_of(supervisor.pid) == workers
    assert [result.return_value for result in results] == KEYS + DURING + AFTER
    arena.ledger().hold(KEYS + DURING + AFTER)


async def send_during(arena: Arena[ServerStore]) -> list[str]:
    """A client that starts, sends and ends while there is no result store."""
    async with arena.sender() as broker:
        return [(await broker.kicker("quick").kiq(key)).task_id for key in DURING]
