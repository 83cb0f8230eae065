"""CBOR."""

from typing import Any

from taskiq_core.serializers.base import LibrarySerializer, optional

_LOAD_OPTIONS = frozenset({"tag_hook", "object_hook", "str_errors", "semantic_decoders", "max_depth"})


class CBORSerializer(LibrarySerializer):
    """CBOR, an internet standard that keeps bytes, UUIDs, Decimals, sets and aware datetimes.

    Keywords go to cbor2: `tag_hook`, `object_hook`, `str_errors`, `semantic_decoders` and `max_depth` to its decoder, all
    others to its encoder.

    :raises ImportError: if cbor2 is not installed; the text says what to install.
    :raises TypeError: for a keyword that cbor2 does not know.
    """

    def __init__(self, **options: Any) -> None:
        self._cbor2 = optional("cbor2", extra="cbor", user=type(self).__name__)
        self._reading = {name: value for name, value in options.items() if name in _LOAD_OPTIONS}
        self._writing = {name: value for name, value in options.items() if name not in _LOAD_OPTIONS}
        self._cbor2.loads(self._cbor2.dumps(None, **self._writing), **self._reading)  # a wrong keyword shows here

    def _dump(self, value: Any) -> bytes:
        packed: bytes = self._cbor2.dumps(value, **self._writing)
        return packed

    def _load(self, value: bytes) -> Any:
        return self._cbor2.loads(value, **self._reading)
