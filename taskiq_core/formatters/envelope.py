"""The part of a broker message that is outside its body: labels as text, and the typed facts among them."""

import base64
from typing import Any

from taskiq_core.labels import DELAY, LOCAL_ONLY, PRIORITY, QUEUE
from taskiq_core.message import BrokerMessage, TaskiqMessage


def label_text(value: Any) -> str:
    """A label's value as text: bytes as base64, everything else as `str()` of it."""
    return base64.b64encode(value).decode() if type(value) is bytes else str(value)


def wire_labels(labels: dict[str, Any]) -> dict[str, Any]:
    """The labels that are sent; the same dict where nothing has to be left out."""
    if LOCAL_ONLY.isdisjoint(labels):
        return labels
    return {name: value for name, value in labels.items() if name not in LOCAL_ONLY}


def envelop(message: TaskiqMessage, labels: dict[str, Any], body: bytes) -> BrokerMessage:
    """The broker message around `body`; `labels` are those that are sent.

    :raises ValueError: for a queue, priority or delay label that cannot be read.
    """
    if not labels:
        return BrokerMessage(message.task_id, message.task_name, body)
    delay = DELAY.get(labels)
    texts = {name: value if type(value) is str else label_text(value) for name, value in labels.items()}
    if delay is not None and delay.is_integer():
        texts[DELAY.name] = str(int(delay))  # there are brokers that read whole seconds only
    return BrokerMessage(message.task_id, message.task_name, body, texts, QUEUE.get(labels), PRIORITY.get(labels), delay)
