"""Headers of messages, as on the wire."""

from collections.abc import Mapping

_BEGIN = b"NATS/1.0\r\n"

EXPECTED = "Nats-Expected-Last-Subject-Sequence"
"""Which message is to be replaced; 0: the subject has to be free."""
MESSAGE_ID = "Nats-Msg-Id"
"""What has the same within `DEDUPLICATION` is stored once."""


def headers_of(fields: Mapping[str, object]) -> bytes:
    """Headers with these fields, whose values have no line ends."""
    return b"%b%b\r\n" % (_BEGIN, "".join(f"{name}: {value}\r\n" for name, value in fields.items()).encode())


def fields_of(headers: bytes) -> dict[str, str]:
    """The fields of headers; the last of those with the same name counts."""
    fields: dict[str, str] = {}
    for line in headers.split(b"\r\n")[1:]:
        name, colon, value = line.partition(b":")
        if colon:
            fields[name.decode()] = value.strip().decode(errors="replace")
    return fields
