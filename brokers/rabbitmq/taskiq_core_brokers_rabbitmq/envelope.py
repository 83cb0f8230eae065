"""What travels beside a body: how often it was delivered, how many holders it has outlived, when it is due."""

import time
from collections.abc import Mapping
from typing import Any

from taskiq_core.delivery import Delivery
from taskiq_core_brokers_rabbitmq.publisher import Letter
from taskiq_core_brokers_rabbitmq.topology import LONGEST

ATTEMPTS = "taskiq-attempts"
"""Deliveries of the copies before this one."""
DEATHS = "taskiq-deaths"
"""Holders that the copies before this one have outlived."""
DUE = "taskiq-due"
"""Milliseconds since the epoch, of messages with a delay."""
MORE = "taskiq-more"
"""Milliseconds of a delay that are left after one passage through the queues for delays."""
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


def copy_of(
    delivery: Delivery, level: int, task_id: str, *, attempts: int, body: bytes | None = None, delay: float | None = None
) -> Letter:
    """A letter that takes the place of a delivery in its queue."""
    headers = {ATTEMPTS: attempts} if attempts else {}
    if delivery.deaths:
        headers[DEATHS] = delivery.deaths
    letter = Letter(delivery.body if body is None else body, delivery.queue or "", level, task_id, headers)
    return due_in(letter, delay) if delay else letter
