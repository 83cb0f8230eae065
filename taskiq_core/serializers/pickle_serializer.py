"""Pickle, for those who ask for it."""

import pickle
from typing import Any

from taskiq_core.serializers.base import LibrarySerializer


class PickleSerializer(LibrarySerializer):
    """Any Python object, at a price: **whoever can write to the store can run code in whoever reads it**.

    Nothing in this package uses it unless told to. Use it only where everyone who can write to the broker or the result
    store is trusted as much as the code itself, and where both sides run the same version of the classes.
    """

    def __init__(self, protocol: int = pickle.HIGHEST_PROTOCOL) -> None:
        self._protocol = protocol

    def _dump(self, value: Any) -> bytes:
        return pickle.dumps(value, protocol=self._protocol)

    def _load(self, value: bytes) -> Any:
        return pickle.loads(value)  # noqa: S301 - what this class is for, and what its docstring warns of
