"""The wire format: types that stay, values that become plain, and bytes that must not hurt."""

import dataclasses
import enum
import os
import uuid
from collections import OrderedDict, deque
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from pathlib import PurePosixPath
from typing import Any

import msgpack
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from taskiq_core.wire import pack, unpack

NOW = datetime(2026, 11, 22, 11, 5, 7, 123456, tzinfo=timezone(timedelta(hours=5, minutes=30)))
KEPT: list[Any] = [
    *(None, True, 0, -1, 2**63, -(2**200), 1.5, float("inf"), "", "ä\ud800", b"\x00\xff", [], {}, {1: {"a": None}}),
    *(uuid.UUID(int=7), NOW, NOW.replace(tzinfo=None), NOW.date(), NOW.timetz(), timedelta(days=-1, microseconds=1)),
    *({(1, 2)}, {(1, 2): [3]}, [{"a": {(1, (2,)): frozenset({(3,)})}}]),
    *(Decimal("1.10"), Decimal("-0"), {1, 2}, frozenset({1.5}), 1 + 2j, set()),
    [{frozenset({frozenset({1})})}],
]


@pytest.mark.parametrize("value", KEPT, ids=lambda v: f"{type(v).__name__} {v!r:.30}")
def test_these_come_back_as_they_went(value: Any) -> None:
    back = unpack(pack(value))
    assert back == value
    assert type(back) is type(value)


class Colour(enum.Enum):
    RED = "red"


class Level(enum.IntEnum):
    HIGH = 9


class Model(BaseModel):
    when: datetime
    tags: set[str]


@dataclasses.dataclass
class Inner:
    key: uuid.UUID


@dataclasses.dataclass
class Outer:
    inner: Inner
    items: tuple[int, ...]


@pytest.mark.parametrize(
    ("value", "plain"),
    [
        (Colour.RED, "red"),
        (Level.HIGH, 9),
        (Model(when=NOW, tags={"a"}), {"when": NOW, "tags": {"a"}}),
        (Outer(Inner(uuid.UUID(int=1)), (1, 2)), {"inner": {"key": uuid.UUID(int=1)}, "items": [1, 2]}),
        (PurePosixPath("/tmp/a"), "/tmp/a"),
        (OrderedDict(a=1), {"a": 1}),
        (range(3), [0, 1, 2]),
        ({1: 2}.keys(), [1]),
        ((1, (2,)), [1, [2]]),
    ],
    ids=lambda v: type(v).__name__,
)
def test_these_become_plain(value: Any, plain: Any) -> None:
    assert unpack(pack(value)) == plain


@pytest.mark.parametrize("value", [object(), Outer, deque([1]).__iter__(), lambda: 1], ids=lambda v: type(v).__name__)
def test_what_has_no_plain_form_is_a_type_error_that_names_it(value: Any) -> None:
    with pytest.raises(TypeError, match="cannot be sent"):
        pack([value])


def loop() -> list[Any]:
    value: list[Any] = []
    value.append(value)
    return value


def nested_sets(depth: int) -> frozenset[Any]:
    value: frozenset[Any] = frozenset()
    for _ in range(depth):
        value = frozenset([value])
    return value


@pytest.mark.parametrize("value", [loop(), nested_sets(32), nested_sets(5000)], ids=["loop", "sets", "many sets"])
def test_too_deep_is_a_value_error(value: Any) -> None:
    with pytest.raises(ValueError):
        pack(value)


def test_what_may_be_packed_may_be_unpacked_at_the_limit_too() -> None:
    assert unpack(pack(nested_sets(31))) == nested_sets(31)


def test_bytes_with_sets_in_sets_do_not_end_the_process() -> None:
    body = pack([])
    for _ in range(5000):
        body = msgpack.packb(msgpack.ExtType(8, b"\x91" + body))
    with pytest.raises(ValueError, match="sets inside each other"):
        unpack(body)


@pytest.mark.parametrize(
    "body",
    [
        *(b"", b"\xc1", b"\x92\x01", pack(1) + b"x", b"\xdd\xff\xff\xff\xff", b"\x91" * 100_000),
        *(msgpack.packb(msgpack.ExtType(code, b"?")) for code in range(1, 11)),
        msgpack.packb(msgpack.ExtType(9, b"1" * 10_000)),
        msgpack.packb(msgpack.ExtType(5, b"9999999999,0,0")),
        msgpack.packb(msgpack.ExtType(7, msgpack.packb([{}]))),
        msgpack.packb(msgpack.ExtType(7, msgpack.packb(None))),
    ],
)
def test_other_bytes_are_a_value_error(body: bytes) -> None:
    with pytest.raises(ValueError, match="not msgpack"):
        unpack(body)


def test_extension_types_of_others_are_handed_through() -> None:
    assert unpack(msgpack.packb(msgpack.ExtType(77, b"x"))) == msgpack.ExtType(77, b"x")


@settings(max_examples=300, deadline=None)
@given(st.binary() | st.tuples(st.integers(1, 10), st.binary()).map(lambda x: msgpack.packb(msgpack.ExtType(*x))))
def test_any_bytes_are_a_value_or_a_value_error(body: bytes) -> None:
    try:
        unpack(body)
    except ValueError as error:
        assert "not msgpack" in str(error)


MOMENTS = st.datetimes() | st.datetimes(timezones=st.just(UTC)) | st.dates() | st.times() | st.timedeltas()
SCALARS = st.integers() | st.text() | st.binary() | st.uuids() | MOMENTS | st.decimals(allow_nan=False) | st.booleans()


@settings(max_examples=200, deadline=None)
@given(st.recursive(SCALARS | st.sets(SCALARS), lambda x: st.lists(x) | st.dictionaries(st.text(), x), max_leaves=20))
def test_round_trip(value: Any) -> None:
    assert unpack(pack(value)) == value


def test_dates_are_not_taken_for_datetimes() -> None:
    assert type(unpack(pack(date(2026, 1, 1)))) is date
    assert type(unpack(pack(time(1)))) is time


class Nested(os.PathLike[str]):
    """Packs something itself while it is packed."""

    def __fspath__(self) -> str:
        return pack(["inner", "x" * 100_000]).hex()


def test_values_may_pack_while_they_are_packed() -> None:
    before, inner, after = unpack(pack([1, Nested(), 2]))
    assert (before, after) == (1, 2)
    assert unpack(bytes.fromhex(inner)) == ["inner", "x" * 100_000]


def test_a_value_that_cannot_be_packed_leaves_nothing_to_the_next() -> None:
    with pytest.raises(TypeError):
        pack(["left over", object()])
    assert unpack(pack(["next"])) == ["next"]


def test_threads_do_not_share_what_they_pack() -> None:
    def work(number: int) -> bool:
        value = [number, {"path": PurePosixPath(str(number))}] * 20
        return all(unpack(pack(value)) == unpack(pack(value)) == [number, {"path": str(number)}] * 20 for _ in range(50))

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(work, range(8)))
