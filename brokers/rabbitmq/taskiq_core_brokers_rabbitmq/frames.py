"""AMQP 0-9-1 on the wire, for the frames there are many of; pamqp does the others.

A message is three frames: the method, a header with its properties, and its body, in pieces where it is long. What is written
and read by hand here costs a tenth of what objects for each frame would.
"""

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pamqp import decode, encode

METHOD, HEADER, BODY, HEARTBEAT = 1, 2, 3, 8
END = b"\xce"
BEAT = b"\x08\x00\x00\x00\x00\x00\x00\xce"

BASIC = 60
DELIVER, RETURN, GET_OK, ACK, NACK = 60, 50, 71, 80, 120

LEADER = struct.Struct(">BHI")
IDS = struct.Struct(">HH")
TAG = struct.Struct(">QB")
_ACK = struct.Struct(">BHIHHQBB")
_LONG = struct.Struct(">Q")

_HEADERS, _PERSISTENT, _PRIORITY, _CORRELATION, _MESSAGE = 1 << 13, 1 << 12, 1 << 11, 1 << 10, 1 << 7


@dataclass(slots=True)
class Properties:
    """What comes with a body."""

    headers: Mapping[str, Any] | None = None
    priority: int | None = None
    nonce: str = ""
    """Which publication it is (`correlation_id`): the same for all deliveries of it, and for no copy."""
    task_id: str = ""
    """`message_id`; empty where it is too long for AMQP, or the message is not ours."""


@dataclass(slots=True)
class Incoming:
    """A message from the server: delivered, got, or returned."""

    method: int
    tag: int
    redelivered: bool
    consumer: str
    routing_key: str
    properties: bytes
    body: bytes
    reason: str = ""
    """For returned ones."""


def ack(channel: int, tag: int, *, multiple: bool = False) -> bytes:
    """Done with one delivery, or with all up to it."""
    return _ACK.pack(METHOD, channel, 13, BASIC, ACK, tag, multiple, 0xCE)


def publication(channel: int, frame_max: int, address: tuple[bytes, bytes], properties: bytes, body: bytes) -> bytes:
    """The frames of one message to an exchange with a key, mandatory: what no queue takes is returned."""
    exchange, key = address
    method = b"\x00\x3c\x00\x28\x00\x00%c%b%c%b\x01" % (len(exchange), exchange, len(key), key)
    head = b"\x00\x3c\x00\x00%b%b" % (_LONG.pack(len(body)), properties)
    parts = [LEADER.pack(METHOD, channel, len(method)), method, END, LEADER.pack(HEADER, channel, len(head)), head, END]
    most = frame_max - 8
    for start in range(0, len(body), most):
        piece = body[start : start + most]
        parts += (LEADER.pack(BODY, channel, len(piece)), piece, END)
    return b"".join(parts)


def pack_properties(properties: Properties) -> bytes:
    """Flags and values; the message is persistent."""
    flags, parts = _PERSISTENT, [b"\x02"]
    if properties.headers:
        flags |= _HEADERS
        parts.insert(0, encode.field_table(dict(properties.headers)))
    if properties.priority is not None:
        flags |= _PRIORITY
        parts.append(bytes((properties.priority,)))
    nonce = properties.nonce.encode()
    flags |= _CORRELATION
    parts.append(b"%c%b" % (len(nonce), nonce))
    task_id = properties.task_id.encode()
    if 0 < len(task_id) < 256:
        flags |= _MESSAGE
        parts.append(b"%c%b" % (len(task_id), task_id))
    return flags.to_bytes(2) + b"".join(parts)


NO_PROPERTIES = b"\x00\x00"


def unpack_properties(data: bytes) -> Properties:
    """What `pack_properties` wrote, or as much of it as somebody else did. Never raises."""
    found = Properties()
    try:
        flags = int.from_bytes(data[:2])
        at = 2
        for bit in (15, 14):
            if flags >> bit & 1:
                at += 1 + data[at]
        if flags & _HEADERS:
            consumed, found.headers = decode.field_table(data[at:])
            at += consumed
        if flags & _PERSISTENT:
            at += 1
        if flags & _PRIORITY:
            found.priority = data[at]
            at += 1
        if flags & _CORRELATION:
            found.nonce, at = _text(data, at)
        for bit in (9, 8):
            if flags >> bit & 1:
                at += 1 + data[at]
        if flags & _MESSAGE:
            found.task_id, at = _text(data, at)
    except (ValueError, IndexError, UnicodeError, struct.error):
        return found
    return found


def incoming(method: int, payload: bytes) -> Incoming:
    """The beginning of a message; its properties and its body follow in other frames."""
    if method == RETURN:
        code = int.from_bytes(payload[4:6])
        text, at = _text(payload, 6)
        _, at = _text(payload, at)
        key, at = _text(payload, at)
        return Incoming(method, 0, False, "", key, b"", b"", f"{code} {text}")
    consumer, at = _text(payload, 4) if method == DELIVER else ("", 4)
    tag, redelivered = TAG.unpack_from(payload, at)
    _, at = _text(payload, at + 9)
    key, _ = _text(payload, at)
    return Incoming(method, tag, bool(redelivered), consumer, key, b"", b"")


def content(payload: bytes) -> tuple[int, bytes]:
    """Size of the body, and properties, of a header frame."""
    return _LONG.unpack_from(payload, 4)[0], payload[12:]


def _text(data: bytes, at: int) -> tuple[str, int]:
    end = at + 1 + data[at]
    return data[at + 1 : end].decode(), end
