"""Standard msgpack."""

from typing import Any

import msgpack as _untyped_msgpack

from taskiq_core.serializers.base import LibrarySerializer

msgpack: Any = _untyped_msgpack  # the package ships no types


class MSGPackSerializer(LibrarySerializer):
    """Msgpack that every other implementation reads: plain data, bytes, and aware datetimes as its timestamp type (in UTC)."""

    def _dump(self, value: Any) -> bytes:
        packed: bytes = msgpack.packb(value, datetime=True)
        return packed

    def _load(self, value: bytes) -> Any:
        return msgpack.unpackb(value, timestamp=3, strict_map_key=False)
