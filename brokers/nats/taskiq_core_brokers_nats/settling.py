"""Carrying out verdicts: acknowledgements and what takes the place of messages, each in one write."""

import asyncio
from collections.abc import Sequence

from taskiq_core.delivery import Settlement, Verdict
from taskiq_core_brokers_nats.connection import Connection
from taskiq_core_brokers_nats.dead_letters import Cemetery, Grave
from taskiq_core_brokers_nats.errors import WRONG_SEQUENCE, NatsError, lost, nobody_answers
from taskiq_core_brokers_nats.headers import rejection
from taskiq_core_brokers_nats.link import Msg, pub
from taskiq_core_brokers_nats.pipelining import Item
from taskiq_core_brokers_nats.publishing import publish_all
from taskiq_core_brokers_nats.receipt import Receipt
from taskiq_core_brokers_nats.stream import delete, read_all, seconds_of

_OTHER_HEADERS = 2048
"""Bytes at the most, beside those that tell why something was rejected."""
SAME = 0.000_01
"""Seconds by which two readings of a time may differ."""


async def settle(connection: Connection, cemetery: Cemetery, settlements: Sequence[Settlement], timeout: float) -> None:
    """All of it, or it raises; to be repeated then. What is no longer held is left alone.

    :raises NatsError: if the server could not be told.
    """
    done = [item.delivery.receipt for item in settlements if item.verdict is Verdict.ACK]
    back = [item for item in settlements if item.verdict is not Verdict.ACK]
    if done:
        await acknowledge(connection, done, timeout)
    if back:
        most = (await connection.usable()).max_payload
        numbers = await replace(connection, [_instead(item, most) for item in back], timeout)
        graves = [
            _grave(item, number, most)
            for item, number in zip(back, numbers, strict=True)
            if item.verdict is Verdict.REJECT and number is not None
        ]
        if graves:
            await cemetery.bury(graves)


def _instead(item: Settlement, most: int) -> Item:
    """What a message that is not done becomes. One that is rejected is marked so first: whoever gets it then buries it."""
    receipt: Receipt = item.delivery.receipt
    more = _rejection(item, most) if item.verdict is Verdict.REJECT else {}
    return receipt.item(
        attempts=receipt.attempts + 1, deaths=receipt.deaths, delay=None if more else item.delay, body=item.body, more=more
    )


def _grave(item: Settlement, number: int, most: int) -> Grave:
    receipt: Receipt = item.delivery.receipt
    body = receipt.body if item.body is None else item.body
    return Grave(number, receipt.subject, receipt.attempts + 1, _rejection(item, most), body)


def _rejection(item: Settlement, most: int) -> dict[str, object]:
    body = item.delivery.body if item.body is None else item.body
    return rejection(item.reason or "rejected", item.detail, max(0, most - len(body) - _OTHER_HEADERS))


async def acknowledge(connection: Connection, receipts: Sequence[Receipt], timeout: float) -> None:
    """Return when the server has carried out all of them."""
    link = await connection.usable()
    # A server that was started anew may have forgotten that it delivered them, and hears no acknowledgement then.
    forgotten = [receipt for receipt in receipts if receipt.server != link.server]
    if forgotten:
        there = [receipt.sequence for receipt in await still_there(connection, forgotten)]
        await delete(connection, forgotten[0].stream, there)
    receipts = [receipt for receipt in receipts if receipt.server == link.server]
    if not receipts:
        return
    last = {receipt.consumer: index for index, receipt in enumerate(receipts)}
    answers = asyncio.Event()
    left = len(last)
    failure: list[NatsError] = []

    # One consumer's acknowledgements are carried out in their order: the answer to the last is one to all.
    def answered(answer: Msg | NatsError) -> None:
        nonlocal left
        left -= 1
        if not isinstance(answer, NatsError) and answer.status == "503":
            answer = nobody_answers(link.place, "an acknowledgement")
        if isinstance(answer, NatsError):
            failure.append(answer)
        if left == 0:
            answers.set()

    asked = set(last.values())
    replies = {index: link.expect(answered) for index in asked}
    link.write(b"".join([pub(receipt.ack, b"+ACK", replies.get(index, "")) for index, receipt in enumerate(receipts)]))
    try:
        async with asyncio.timeout(timeout):
            await answers.wait()
    except TimeoutError:
        raise lost(link.place, f"no answer within {timeout:g} s", certain=False) from None
    finally:
        for reply in replies.values():
            link.drop(reply)
    if failure:
        raise failure[0]


async def still_there(connection: Connection, receipts: Sequence[Receipt]) -> list[Receipt]:
    """Those that nobody has removed, or put another in the place of."""
    if not receipts:
        return []
    found = await read_all(connection, receipts[0].stream, [receipt.sequence for receipt in receipts])
    return [
        receipt
        for receipt, message in zip(receipts, found, strict=True)
        if message is not None and abs(seconds_of(message["time"]) - receipt.stored_at) < SAME
    ]


async def replace(connection: Connection, items: Sequence[Item], timeout: float) -> list[int | None]:
    """Put messages in the place of others; returns their numbers, None where the other one was not there any more.

    :raises NatsError: if one of them is neither.
    """
    results: list[int | None] = []
    for result in await publish_all(connection, items, timeout):
        if not isinstance(result, NatsError):
            results.append(result)
        elif result.code == WRONG_SEQUENCE:
            results.append(None)
        else:
            raise result
    return results
