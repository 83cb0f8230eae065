"""What travels beside a body: how often it was delivered, how many holders it has outlived, when it is due."""

import time
from collections.abc import Mapping
from typing import Any

from taskiq_core.delivery import Delivery
from taskiq_core_brokers_rabbitmq.frames import Properties
from taskiq_core_brokers_rabbitmq.names import LONGEST
from taskiq_core_brokers_rabbitmq.publisher import Letter
from taskiq_core_brokers_rabbitmq.receipt import Receipt

ATTEMPTS = "taskiq-attempts"
"""Deliveries of the copies before this one."""
DEATHS = "taskiq-deaths"
"""Holders that the copies before this one have outlived."""
DUE = "taskiq-due"
"""Milliseconds since the epoch, of messages with a delay."""
MORE = "taskiq-more"
"""Milliseconds of a delay that are left after one passage through the queues for delays."""
NAME = "taskiq-copy"
"""Which copy it is, of which publication. It may be there twice, if the confirm of the first was lost: both have one name."""
AGAIN = "taskiq-again"
"""There on the second of two of the same name."""
COUNT = "x-delivery-count"
"""How often a quorum queue has taken this copy back."""


def number(headers: Mapping[str, Any] | None, name: str) -> int:
    """The value of a header that is a number; 0 if it is not there."""
    found = headers.get(name) if headers else None
    return found if isinstance(found, int) else 0


def due_in(letter: Letter, delay: float) -> Letter:
    """The letter, to be delivered after `delay` seconds."""
    milliseconds = max(1, round(delay * 1000))
    letter.headers = headers = {**(letter.headers or {}), DUE: round(time.time() * 1000) + milliseconds}
    letter.delay = min(milliseconds, LONGEST)
    if milliseconds > LONGEST:
        headers[MORE] = milliseconds - LONGEST
    return letter


def still_to_wait(headers: Mapping[str, Any] | None) -> float:
    """Seconds until a message is due that has passed through the queues for delays; 0 if one passage was enough.

    By what was left when it was sent and, as it may have lain about since, by the clock: whichever is sooner.
    """
    more = number(headers, MORE)
    return max(0.0, min(more, number(headers, DUE) - time.time() * 1000) / 1000) if more > 0 else 0.0


def copy_of(delivery: Delivery, *, body: bytes | None = None, delay: float | None = None) -> Letter:
    """A letter that takes the place of a delivery in its queue."""
    receipt: Receipt = delivery.receipt
    headers: dict[str, Any] = {NAME: _next_name(receipt.nonce)}
    counts = {ATTEMPTS: receipt.attempts, DEATHS: delivery.deaths, AGAIN: receipt.maybe_copied}
    headers.update((name, int(count)) for name, count in counts.items() if count)
    letter = Letter(delivery.body if body is None else body, delivery.queue or "", receipt.level, receipt.task_id, headers)
    return due_in(letter, delay) if delay else letter


def name_in(properties: Properties) -> str:
    """What a publication is called: a copy of one, by its original; empty for one that is not ours."""
    name = properties.headers.get(NAME) if properties.headers else None
    return name if isinstance(name, str) else properties.nonce


def _next_name(name: str) -> str:
    original, _, number = name.partition("~")
    return f"{original}~{int(number) + 1 if number.isdecimal() else 1}"
