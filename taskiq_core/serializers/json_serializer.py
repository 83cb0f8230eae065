"""JSON by the standard library."""

import json
from collections.abc import Callable
from typing import Any

from taskiq_core.serializers.base import LibrarySerializer


class JSONSerializer(LibrarySerializer):
    """Readable everywhere; keeps only what JSON has.

    `default` is called with a value that JSON lacks and returns one that it has. With `ensure_ascii` off, texts in other
    scripts are shorter.
    """

    def __init__(self, default: Callable[[Any], Any] | None = None, ensure_ascii: bool = True) -> None:
        self._default = default
        self._ensure_ascii = ensure_ascii

    def _dump(self, value: Any) -> bytes:
        return json.dumps(value, default=self._default, ensure_ascii=self._ensure_ascii).encode()

    def _load(self, value: bytes) -> Any:
        return json.loads(value)
