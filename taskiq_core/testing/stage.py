"""A broker whose store is memory for a while, whatever it is made for."""

from collections.abc import Awaitable, Generator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from types import MethodType
from typing import Any, cast

from taskiq_core.broker import AsyncBroker
from taskiq_core.brokers.inmemory import InMemoryBroker
from taskiq_core.brokers.shared import async_shared_broker
from taskiq_core.capability import Capability
from taskiq_core.exceptions import ConfigurationError
from taskiq_core.message import BrokerMessage
from taskiq_core.option_check import check_options
from taskiq_core.testing.memory_stores import WatchedQueue, WatchedResults


@contextmanager
def on_memory(broker: AsyncBroker, queue: WatchedQueue, results: WatchedResults) -> Generator[None]:
    """Within it the broker sends to `queue`, subscribes to it and keeps results in `results`; it makes no connection.

    What it cannot do it still refuses: its capabilities stay, and where it has no results, records or coordinator there are
    none.

    :raises ConfigurationError: if the broker is started.
    :raises UnsupportedOptionError: for tasks that the broker would refuse at its start.
    """
    if broker.home is not None:
        raise ConfigurationError(reason="The broker is started already: enter the test first, it starts the broker itself.")
    check_options(broker, broker.get_all_tasks().values())
    parts: dict[str, Any] = {
        "kick": queue.kick,
        "kick_many": queue.kick_many,
        "subscribe": queue.subscribe,
        "enlist": partial(_send_at_once, queue),
        "resend": MethodType(AsyncBroker.resend, broker),
        "startup": MethodType(AsyncBroker.startup, broker),
        "shutdown": MethodType(AsyncBroker.shutdown, broker),
    }
    if broker.outbox is not None:
        parts |= {"outbox": None, "capabilities": broker.capabilities | Capability.TRANSACTIONS}
    if broker.admin is not None:
        parts["admin"] = queue.admin
    if broker.records is not None:
        parts["records"] = results
    if vars(broker).get("_coordinator") is not None:
        parts["_coordinator"] = results
    if broker.result_backend.keeps_results:
        parts["result_backend"] = results
    if broker.coordinator is not None:  # what it says of itself is what options are checked against
        results.cross_process = broker.coordinator.cross_process
    if isinstance(broker, InMemoryBroker):
        parts |= {name: getattr(queue, name) for name in ("queue", "wait_all", "wake", "next_change", "changed")}
    shared = async_shared_broker
    copied = {name for name in ("result_backend", "admin", "records") if getattr(shared, name) is getattr(broker, name)}
    with replaced_parts(shared, {name: parts[name] for name in copied & parts.keys()}), replaced_parts(broker, parts):
        yield


def _send_at_once(queue: WatchedQueue, _connection: Any, messages: Sequence[BrokerMessage]) -> Awaitable[None]:
    """What memory does for a transaction, of whose commit it does not hear."""
    return queue.kick_many(messages)


@contextmanager
def replaced_parts(owner: Any, parts: dict[str, Any]) -> Generator[None]:
    """Attributes of one object, replaced for a while."""
    own = cast("dict[str, Any]", vars(owner))
    with ExitStack() as undo:
        for name, value in parts.items():
            if name in own:
                undo.callback(setattr, owner, name, own[name])
            else:
                undo.callback(delattr, owner, name)
            setattr(owner, name, value)
        yield
