"""Stream entries to deliveries, and back to the arguments of scripts."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

from taskiq_core.delivery import Delivery, Settlement, StoredResult, Verdict
from taskiq_core_brokers_redis.packing import Argument
from taskiq_core_brokers_redis.scripts import Script

_DONE = Script("done", "settle")
_SETTLE = Script("delayed", "parking", "done", "undone", "settle")
_CHUNK = 500
"""Ids of one variadic command within a script; Lua's stack holds some thousands."""
_FOREVER = 1e9
"""Seconds from which on a time to live is none."""


class Receipt:
    """Where a delivery stands: its stream, its entry there, and the id of its task."""

    __slots__ = ("entry", "id", "stream")

    def __init__(self, stream: bytes, entry: bytes, task_id: bytes) -> None:
        self.stream = stream
        self.entry = entry
        self.id = task_id


class StreamNames(dict[bytes, tuple[str, str]]):
    """Queue and level by the key of a stream, each worked out once."""

    def __init__(self, root: str) -> None:
        super().__init__()
        self._head = len(f"{root}:q:".encode())

    def __missing__(self, stream: bytes) -> tuple[str, str]:
        queue, _, level = stream[self._head :].decode().rpartition(":")
        self[stream] = queue, level
        return queue, level


def deliveries_of(found: Sequence[tuple[bytes, Sequence[Any]]], names: StreamNames) -> tuple[list[Delivery], list[Receipt]]:
    """What XREADGROUP answered, and the nudges among it."""
    taken: list[Delivery] = []
    nudges: list[Receipt] = []
    for stream, entries in found:
        queue, level = names[stream]
        if level == "nudge":
            nudges += [Receipt(stream, entry, b"") for entry, _ in entries]
            continue
        for entry, fields in entries:
            try:
                _, body, _, task_id, _, meta = fields
                if meta:
                    taken.append(_again(body, Receipt(stream, entry, task_id), queue, meta))
                else:
                    taken.append(Delivery(body, Receipt(stream, entry, task_id), 1, queue))
            except ValueError:  # somebody else's entry: the worker will find that it is no message, and say so
                taken.append(Delivery(b" ".join(fields), Receipt(stream, entry, b""), 1, queue))
    return taken, nudges


def _again(body: bytes, receipt: Receipt, queue: str, meta: bytes) -> Delivery:
    attempts, deaths, accused, _ = meta.split()
    return Delivery(body, receipt, int(attempts) + 1, queue, int(deaths), accused == b"1")


def by_stream(deliveries: Iterable[Delivery]) -> list[Argument]:
    """Parts of: stream, n, n entries."""
    groups: defaultdict[bytes, list[bytes]] = defaultdict(list)
    for item in deliveries:
        groups[item.receipt.stream].append(item.receipt.entry)
    arguments: list[Argument] = []
    for stream, entries in groups.items():
        arguments += (stream, len(entries), *entries)
    return arguments


def settling(
    settlements: Sequence[Settlement], default_ttl: float | None, dead_ttl: float | None
) -> tuple[Script, list[Argument]]:
    """The script that settles, and its arguments; the times to live are those of results and dead letters."""
    results: list[StoredResult] = []
    done: defaultdict[bytes, list[Receipt]] = defaultdict(list)
    others: list[Argument] = []
    for item in settlements:
        if item.result is not None:
            results.append(item.result)
        if item.verdict is Verdict.ACK:
            receipt: Receipt = item.delivery.receipt
            done[receipt.stream].append(receipt)
        else:
            others += _other(item)
    arguments = [*storing(results, default_ttl), *others]
    if dead_ttl is not None and any(item.verdict is Verdict.REJECT for item in settlements):
        arguments += ("t", round(dead_ttl * 1000))
    for stream, receipts in done.items():
        for start in range(0, len(receipts), _CHUNK):
            part = receipts[start : start + _CHUNK]
            arguments += ("a", stream, len(part), *[item.entry for item in part], *[item.id for item in part])
    return (_SETTLE if others else _DONE), arguments


def storing(results: Sequence[StoredResult], default_ttl: float | None) -> list[Argument]:
    """The part of the arguments that stores results."""
    if not results:
        return []
    arguments: list[Argument] = ["s", len(results)]
    for item in results:
        ttl = default_ttl if item.ttl is None else item.ttl
        arguments += (item.task_id, 0 if ttl is None or ttl > _FOREVER else max(1, int(ttl * 1000)), item.body)
    return arguments


def _other(item: Settlement) -> tuple[Argument, ...]:
    receipt: Receipt = item.delivery.receipt
    if item.verdict is Verdict.REJECT:
        body = item.body or (b"" if receipt.id else item.delivery.body)  # an entry that is not ours has no body of its own
        detail = (int(item.detail is not None), item.detail or b"")
        return ("d", receipt.stream, receipt.entry, item.reason or "rejected", body, *detail)
    delay = max(0, round((item.delay or 0) * 1000))
    new_body = (int(item.body is not None), item.body or b"")
    if item.park is not None and delay:
        return ("p", receipt.stream, receipt.entry, delay, item.park, *new_body)
    return ("b", receipt.stream, receipt.entry, delay, int(item.verdict is Verdict.RELEASE), *new_body)
