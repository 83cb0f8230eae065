"""A sender gets an answer within the send timeout, and the same client works again when the trouble is over (G9)."""

import re
import time
from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import pytest
from arena import Arena
from crash_support import on_servers
from server_stores import ServerStore

from taskiq_core import AsyncBroker, SendTaskError, call
from taskiq_core.exceptions import BrokerError

pytestmark = [pytest.mark.crash, on_servers]

SEND_TIMEOUT = 3.0
ANSWERS_WITHIN = SEND_TIMEOUT + 1.0
SERVER = "(Redis|PostgreSQL|RabbitMQ|NATS)"
CAUSE = f"{SERVER} (at .* )?(cannot be reached|did not answer within)"

TROUBLES: dict[str, tuple[Callable[[ServerStore], object], Callable[[ServerStore], object]]] = {
    "killed": (lambda store: store.server.kill(), lambda store: store.server.start()),
    "frozen": (lambda store: store.server.pause(), lambda store: store.server.resume()),
    "black hole": (lambda store: store.proxy.black_hole(), lambda store: store.proxy.resume()),
}


Errors = dict[str, SendTaskError | BrokerError]
"""By key; those of senders that were there before are all of the first kind."""


@pytest.mark.parametrize("trouble", TROUBLES)
def test_every_kind_of_send(arena: Arena[ServerStore], trouble: str) -> None:
    """An open client and a new one, alone and many at once: an error in time that says why; and then all is well again."""
    begin, end = TROUBLES[trouble]
    errors: Errors = {}

    async def story() -> None:
        async with arena.sender(send_timeout=SEND_TIMEOUT) as broker:
            await broker.kicker("quick").kiq("before")
            begin(arena.store)
            async with anyio.create_task_group() as group:
                group.start_soon(fails, errors, "new client", send_with_a_new_client, arena)
                for number in range(5):
                    group.start_soon(fails, errors, f"single {number}", send_one, broker)
                    group.start_soon(fails, errors, f"bulk {number}", send_two, broker)
            end(arena.store)
            await broker.kicker("quick").kiq("after")

    anyio.run(story)
    assert [key for key, error in errors.items() if not isinstance(error, SendTaskError)] in ([], ["new client"])
    clear = {key for key, error in errors.items() if re.search(CAUSE, str(error))}
    assert "new client" in clear
    assert len(clear) > 1
    others = [str(errors[key]) for key in errors.keys() - clear]
    assert [error for error in others if "behind other sends" not in error] == []
    with arena.worker(calm=True):
        arena.wait_ends(["before", "after"])
        arena.wait_empty()
    ledger = arena.ledger()
    unknown = {key for key, error in errors.items() if isinstance(error, SendTaskError) and error.outcome == "unknown"}
    assert {key.removesuffix(" too") for key in ledger.starts} <= {"before", "after"} | unknown
    assert ledger.doubled() == {}


async def fails(errors: Errors, key: str, send: Callable[[Any, str], Awaitable[object]], by: object) -> None:
    begun = time.monotonic()
    with pytest.raises((SendTaskError, BrokerError)) as refusal:
        await send(by, key)
    assert time.monotonic() - begun < ANSWERS_WITHIN
    errors[key] = refusal.value


async def send_one(broker: AsyncBroker, key: str) -> None:
    await broker.kicker("quick").kiq(key)


async def send_two(broker: AsyncBroker, key: str) -> None:
    await broker.kicker("quick").kiq_many([call(key), call(f"{key} too")])


async def send_with_a_new_client(arena: Arena[ServerStore], key: str) -> None:
    async with arena.sender(send_timeout=SEND_TIMEOUT) as broker:
        await send_one(broker, key)
