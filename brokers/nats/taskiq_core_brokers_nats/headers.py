"""Headers of messages, as on the wire."""

import base64
from collections.abc import Mapping
from urllib.parse import quote, unquote

from taskiq_core.dead_bounds import DETAIL_BYTES, cut_reason

_BEGIN = b"NATS/1.0\r\n"
_DIGITS = 15
"""Of numbers in headers, at the most."""
_ONE_CHARACTER = 12
"""Bytes of what is quoted, at the most."""

EXPECTED = "Nats-Expected-Last-Subject-Sequence"
"""Which message is to be replaced; 0: the subject has to be free."""
MESSAGE_ID = "Nats-Msg-Id"
"""What has the same within the time of deduplication is stored once."""

ATTEMPTS = "Taskiq-Attempts"
"""How often it has been delivered before."""
DEATHS = "Taskiq-Deaths"
"""How many of its holders have died."""
DELAY = "Taskiq-Delay"
"""It is due so many milliseconds after the server has stored it."""
REASON = "Taskiq-Reason"
"""It was rejected: why."""
DETAIL = "Taskiq-Detail"
"""Of what was rejected: `Settlement.detail`, in base64."""
PRIORITY = "Taskiq-Priority"
"""Of a dead letter: where it came from."""


def headers_of(fields: Mapping[str, object]) -> bytes:
    """Headers with these fields, whose values have no line ends."""
    return b"%b%b\r\n" % (_BEGIN, "".join([f"{name}: {value}\r\n" for name, value in fields.items()]).encode())


def fields_of(headers: bytes) -> dict[str, str]:
    """The fields of headers; the last of those with the same name counts."""
    fields: dict[str, str] = {}
    for line in headers.split(b"\r\n")[1:]:
        name, colon, value = line.partition(b":")
        if colon:
            fields[name.decode(errors="replace")] = value.strip().decode(errors="replace")
    return fields


def number_in(fields: Mapping[str, str], name: str, missing: int = 0) -> int:
    """The number in a field; `missing` where there is none, also in a field that somebody else has written."""
    text = fields.get(name, "")
    return int(text) if text.isascii() and text.isdigit() and len(text) <= _DIGITS else missing


def rejection(reason: str, detail: bytes | None, room: int) -> dict[str, object]:
    """Fields of what was rejected, cut so that they need no more than `room` bytes; a server takes 64 KiB of headers."""
    said = quote(cut_reason(reason), safe=" ")
    if len(said) > room:
        said = quote(reason[: room // _ONE_CHARACTER], safe=" ")
    fields: dict[str, object] = {REASON: said}
    if detail is not None:
        fields[DETAIL] = base64.b64encode(detail[: min(DETAIL_BYTES, (room - len(said)) // 4 * 3)]).decode()
    return fields


def told(fields: Mapping[str, str]) -> tuple[str, bytes | None]:
    """Reason and detail, as `rejection` was given them; no detail where it was written by somebody else and is not readable."""
    reason, detail = unquote(fields.get(REASON, "")), fields.get(DETAIL)
    try:
        return reason, None if detail is None else base64.b64decode(detail)
    except ValueError:
        return reason, None
