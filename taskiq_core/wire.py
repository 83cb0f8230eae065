"""Python values as msgpack, keeping the types that msgpack lacks.

Extension types: 1 UUID (16 bytes) · 2 datetime, 3 date, 4 time (ISO 8601) · 5 timedelta (days, seconds, microseconds)
· 6 Decimal (text) · 7 set, 8 frozenset (array) · 9 int outside 64 bits (text) · 10 complex (two doubles).
Pydantic models, dataclasses, enums, paths and other mappings and sequences travel as plain data; the annotation on the
receiving side makes them what they were. Subclasses of str, int, float, list and dict travel as those.
"""

import dataclasses
import enum
import functools
import os
import uuid
from collections.abc import Callable, Mapping, Sequence, Set
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any, cast

import msgpack as _untyped_msgpack
from pydantic import BaseModel

msgpack: Any = _untyped_msgpack  # the package ships no types

_BIG_INT = 9
_SET, _FROZENSET = 7, 8
_KEPT = 1 << 16
"""Bytes that a packer may have packed to be used again: its buffer never shrinks."""
_MAX_SETS = 32
"""How deep sets may be nested in sets: each level takes some 50 kB of the C stack, and a stack that ends kills the process."""


def pack(value: Any) -> bytes:
    """Bytes of a value.

    :raises TypeError: for a value that has no plain form; the text names its type.
    :raises ValueError: for one that contains itself or is nested too deeply.
    """
    try:
        return _pack(value, 0)
    except RecursionError as error:
        msg = "the value is nested too deeply"
        raise ValueError(msg) from error


def unpack(body: bytes) -> Any:
    """The value of `pack`'s bytes.

    :raises ValueError: for any other bytes.
    """
    try:
        return _unpack(body, 0)
    except (ValueError, TypeError, OverflowError, ArithmeticError, msgpack.UnpackException) as error:
        msg = f"not msgpack: {type(error).__name__}: {error}"
        raise ValueError(msg) from error


def _pack(value: Any, depth: int) -> bytes:
    idle = _PACKERS[depth]
    try:
        packer = idle.pop()  # nobody else has it meanwhile: neither another thread, nor what a value's own code packs
    except IndexError:
        packer = msgpack.Packer(default=_WRITERS[depth], use_bin_type=True, unicode_errors="surrogatepass")
    packed: bytes = packer.pack(value)
    if len(packed) <= _KEPT:
        idle.append(packer)
    return packed


def _unpack(body: bytes, depth: int) -> Any:
    options: dict[str, Any] = {"raw": False, "strict_map_key": False, "unicode_errors": "surrogatepass"}
    try:
        return msgpack.unpackb(body, ext_hook=_READERS[depth], **options)
    except TypeError:  # a dict whose keys are tuples, which arrive as lists: read everything as tuples, then mend the others
        return _thaw(msgpack.unpackb(body, ext_hook=_READERS[depth], use_list=False, **options))


def _thaw(value: Any) -> Any:
    if type(value) is tuple:
        return [_thaw(item) for item in cast("tuple[Any, ...]", value)]
    if type(value) is dict:
        return {key: _thaw(item) for key, item in cast("dict[Any, Any]", value).items()}
    return value


def _freeze(value: Any) -> Any:
    return tuple(_freeze(item) for item in cast("list[Any]", value)) if type(value) is list else value


def _ext(code: int, text: str) -> Any:
    return msgpack.ExtType(code, text.encode())


def _one_deeper(depth: int) -> int:
    if depth == _MAX_SETS:
        msg = f"more than {_MAX_SETS} sets inside each other"
        raise ValueError(msg)
    return depth + 1


_BY_TYPE: dict[type, Callable[[Any], Any]] = {
    uuid.UUID: lambda v: msgpack.ExtType(1, v.bytes),
    datetime: lambda v: _ext(2, v.isoformat()),
    date: lambda v: _ext(3, v.isoformat()),
    time: lambda v: _ext(4, v.isoformat()),
    timedelta: lambda v: _ext(5, f"{v.days},{v.seconds},{v.microseconds}"),
    Decimal: lambda v: _ext(6, str(v)),
    complex: lambda v: _ext(10, repr(v)),
}

_FROM_EXT: dict[int, Callable[[bytes], Any]] = {
    1: lambda data: uuid.UUID(bytes=data),
    2: lambda data: datetime.fromisoformat(data.decode()),
    3: lambda data: date.fromisoformat(data.decode()),
    4: lambda data: time.fromisoformat(data.decode()),
    5: lambda data: timedelta(*(int(part) for part in data.decode().split(","))),
    6: lambda data: Decimal(data.decode()),
    _BIG_INT: lambda data: int(data.decode()),
    10: lambda data: complex(data.decode()),
}


def _from_ext(depth: int, code: int, data: bytes) -> Any:
    if code in (_SET, _FROZENSET):
        items = _unpack(data, _one_deeper(depth))
        frozen = (_freeze(item) for item in items)
        return set(frozen) if code == _SET else frozenset(frozen)
    reader = _FROM_EXT.get(code)
    return msgpack.ExtType(code, data) if reader is None else reader(data)


def _to_plain(depth: int, value: Any) -> Any:
    writer = _BY_TYPE.get(value.__class__)
    if writer is not None:
        return writer(value)
    if isinstance(value, set | frozenset):
        items = list(cast("Set[Any]", value))
        return msgpack.ExtType(_SET if isinstance(value, set) else _FROZENSET, _pack(items, _one_deeper(depth)))
    if isinstance(value, BaseModel):
        return value.model_dump()
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {item.name: getattr(value, item.name) for item in dataclasses.fields(value)}
    if isinstance(value, enum.Enum):
        return value.value
    if isinstance(value, os.PathLike):
        return os.fspath(cast("os.PathLike[str]", value))
    if isinstance(value, Mapping):
        return dict(cast("Mapping[Any, Any]", value))
    if isinstance(value, int):  # msgpack asks about those that need more than 64 bits
        return _ext(_BIG_INT, str(value))
    for base, write in _BY_TYPE.items():
        if isinstance(value, base):
            return write(value)
    if isinstance(value, Sequence | Set):
        return list(cast("Sequence[Any]", value))
    msg = f"a value of type {type(value).__module__}.{type(value).__qualname__} cannot be sent as data"
    raise TypeError(msg)


_READERS = tuple(functools.partial(_from_ext, depth) for depth in range(_MAX_SETS + 1))
_WRITERS = tuple(functools.partial(_to_plain, depth) for depth in range(_MAX_SETS + 1))
_PACKERS: tuple[list[Any], ...] = tuple([] for _ in _WRITERS)
"""Those that are idle, by depth: making one costs three times what packing a message does."""
