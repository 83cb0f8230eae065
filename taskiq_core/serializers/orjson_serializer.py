"""JSON by orjson."""

from collections.abc import Callable
from typing import Any

from taskiq_core.serializers.base import LibrarySerializer, optional


class ORJSONSerializer(LibrarySerializer):
    """Fast JSON; UUIDs, datetimes, dataclasses and enums become text or plain data.

    `default` and `option` are orjson's.

    :raises ImportError: if orjson is not installed; the text says what to install.
    """

    def __init__(self, default: Callable[[Any], Any] | None = None, option: int | None = None) -> None:
        self._orjson = optional("orjson", extra="orjson", user=type(self).__name__)
        self._default = default
        self._option = option

    def _dump(self, value: Any) -> bytes:
        packed: bytes = self._orjson.dumps(value, default=self._default, option=self._option)
        return packed

    def _load(self, value: bytes) -> Any:
        return self._orjson.loads(value)
