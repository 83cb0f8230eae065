"""What the outbox keeps of a message, and what it cannot read."""

from collections.abc import Awaitable, Sequence
from typing import Any

import pytest

from taskiq_core import BrokerMessage
from taskiq_core.brokers.inmemory import InMemoryBroker
from taskiq_core.exceptions import MessageDecodeError
from taskiq_core.outbox import Outbox, read_entry
from taskiq_core.wire import pack


class Shelf(InMemoryBroker):
    """Keeps what is enlisted."""

    def enlist(self, connection: Any, messages: Sequence[BrokerMessage]) -> Awaitable[None] | None:
        connection.extend(messages)
        return None


@pytest.mark.parametrize(
    "message",
    [
        BrokerMessage("id", "a.task", b"\x00\xff"),
        BrokerMessage("id", "a.task", b"", {"label": "value", "lone": "\udce9"}, queue="q\udce9", priority=0),
        BrokerMessage("id", "a.task", b"x" * 100_000, queue="q", priority=9),
    ],
)
def test_all_of_a_message_is_kept(message: BrokerMessage) -> None:
    kept: list[BrokerMessage] = []
    Outbox(Shelf(), "aside").enlist(kept, [message])
    (entry,) = kept
    assert (entry.task_id, entry.queue, entry.priority, entry.delay) == ("aside/id", "aside", message.priority, None)
    assert read_entry(entry.message) == message


@pytest.mark.parametrize(
    "body",
    [b"", b"\xc1", b"{}", pack(None), pack([]), pack([1]), pack({}), pack("text"), pack([1, *"1234567", 8])],
)
def test_other_bodies_are_no_entries(body: bytes) -> None:
    with pytest.raises(MessageDecodeError, match="no entry of an outbox"):
        read_entry(body)


def test_entries_of_a_later_release_say_so() -> None:
    with pytest.raises(MessageDecodeError, match="in form 2, and this release reads form 1"):
        read_entry(pack([2, "more"]))
