"""Messages of a stream by their numbers: read, looked for and deleted, many in one write."""

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from taskiq_core_brokers_nats.connection import Connection
from taskiq_core_brokers_nats.errors import NatsError, lost, nobody_answers
from taskiq_core_brokers_nats.link import Link
from taskiq_core_brokers_nats.pipelining import Item, Reply, ask_together

_NOT_THERE = {10037, 10043, 10057}
"""What the server says of numbers that it has no message for."""
_MOST = 200
"""Requests in one write."""
_IN_FLIGHT = 24 << 20
"""Bytes of messages that are asked for at once. A server ends a connection on which 64 MiB wait, and base64 adds a third."""

Stored = Mapping[str, Any]
"""A message as the server tells it: its `seq`, `subject` and `time`, `data` and `hdrs` in base64."""


async def read(connection: Connection, stream: str, number: int) -> Stored | None:
    """A message, None if there is none of that number.

    :raises NatsError: if the server cannot be asked, or refuses it.
    """
    return (await read_all(connection, stream, [number]))[0]


async def read_all(connection: Connection, stream: str, numbers: Iterable[int]) -> list[Stored | None]:
    """The messages with these numbers, None for those that there are not.

    :raises NatsError: if the server cannot be asked, or refuses it.
    """
    at_once = _at_once(await connection.usable())
    answers = await _ask(connection, f"STREAM.MSG.GET.{stream}", [{"seq": number} for number in numbers], at_once)
    return [None if answer is None else answer["message"] for answer in answers]


async def read_on(connection: Connection, stream: str, subjects: str, number: int) -> list[Stored]:
    """The next messages on these subjects, in their order, from this number on: some of them, at least one if there is one.

    To look for a subject the server walks over others, to read a number it does not. So one is looked for, and those that
    have the numbers behind this one are read with it.

    :param subjects: with wildcards at the end alone.
    :raises NatsError: if the server cannot be asked, or refuses it.
    """
    at_once = _at_once(await connection.usable())
    questions: list[Mapping[str, object]] = [{"seq": number, "next_by_subj": subjects}]
    questions += [{"seq": number + step} for step in range(1, at_once)]
    answers = await _ask(connection, f"STREAM.MSG.GET.{stream}", questions, at_once)
    begin = subjects.partition("*")[0]
    messages: list[Stored] = [answer["message"] for answer in answers if answer is not None]
    found = {int(message["seq"]): message for message in messages if message["subject"].startswith(begin)}
    return [found[number] for number in sorted(found)]


async def delete(connection: Connection, stream: str, numbers: Collection[int]) -> int:
    """Delete messages; returns how many there were.

    :raises NatsError: if the server cannot be asked, or refuses it.
    """
    questions = [{"seq": number, "no_erase": True} for number in numbers]
    answers = await _ask(connection, f"STREAM.MSG.DELETE.{stream}", questions, _MOST)
    return sum(answer is not None for answer in answers)


def seconds_of(text: str) -> float:
    """Of a time in RFC 3339, which has nanoseconds."""
    whole, _, rest = text.rstrip("Z").partition(".")
    return datetime.fromisoformat(f"{whole}+00:00").timestamp() + float(f"0.{rest or 0}")


async def _ask(
    connection: Connection, name: str, questions: Sequence[Mapping[str, object]], at_once: int
) -> list[dict[str, Any] | None]:
    """The answers; None where it is that there is no such message."""
    answers: list[dict[str, Any] | None] = []
    while len(answers) < len(questions):
        link = await connection.usable()
        some = questions[len(answers) : len(answers) + at_once]
        items = [Item(f"$JS.API.{name}", data=json.dumps(question).encode()) for question in some]
        replies = await ask_together(link, items, connection.patience)
        answers += [_answer(connection, reply, name) for reply in replies]
    return answers


def _answer(connection: Connection, reply: Reply | None, name: str) -> dict[str, Any] | None:
    if reply is None:
        raise lost(connection.location.server, f"no answer within {connection.patience:g} s", certain=False)
    if isinstance(reply, NatsError):
        raise reply
    if reply.status == "503":
        raise nobody_answers(connection.location.server, name)
    answer: dict[str, Any] = json.loads(reply.data)
    if answer.get("error", {}).get("err_code") in _NOT_THERE:
        return None
    connection.check(answer)
    return answer


def _at_once(link: Link) -> int:
    return max(1, min(_MOST, _IN_FLIGHT // link.max_payload))
