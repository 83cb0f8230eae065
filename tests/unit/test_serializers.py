"""Serializers: what each keeps, and what each does with strange values and bytes."""

import sys
import uuid
from datetime import UTC, datetime
from typing import Any

import pytest

from taskiq_core.abc.serializer import TaskiqSerializer
from taskiq_core.serializers import CBORSerializer, JSONSerializer, MSGPackSerializer, ORJSONSerializer, PickleSerializer

ALL: list[TaskiqSerializer] = [JSONSerializer(), ORJSONSerializer(), MSGPackSerializer(), CBORSerializer(), PickleSerializer()]
PLAIN: list[Any] = [None, True, 0, -(2**31), 1.5, "", "ä€", [], [1, [2]], {}, {"a": {"b": [None]}}]


@pytest.fixture(params=ALL, ids=lambda s: type(s).__name__)
def serializer(request: pytest.FixtureRequest) -> TaskiqSerializer:
    return request.param


@pytest.mark.parametrize("value", PLAIN, ids=repr)
def test_plain_data_is_kept(serializer: TaskiqSerializer, value: Any) -> None:
    body = serializer.dumpb(value)
    assert isinstance(body, bytes)
    back = serializer.loadb(body)
    assert back == value
    assert type(back) is type(value)


@pytest.mark.parametrize("serializer", [ORJSONSerializer(), CBORSerializer(), PickleSerializer()])
def test_uuids_are_kept_or_become_text(serializer: TaskiqSerializer) -> None:
    value = uuid.uuid4()
    assert str(serializer.loadb(serializer.dumpb(value))) == str(value)


@pytest.mark.parametrize("serializer", [MSGPackSerializer(), CBORSerializer(), PickleSerializer()])
def test_aware_datetimes_and_bytes_are_kept(serializer: TaskiqSerializer) -> None:
    value = [datetime(2026, 11, 22, 11, 5, 7, 123456, tzinfo=UTC), b"\x00\xff"]
    assert serializer.loadb(serializer.dumpb(value)) == value


class Opaque:
    def __reduce__(self) -> Any:
        raise RuntimeError("not to be pickled")


def nested(depth: int) -> Any:
    value: Any = []
    for _ in range(depth):
        value = [value]
    return value


def test_what_cannot_be_expressed_is_a_type_or_value_error(serializer: TaskiqSerializer) -> None:
    with pytest.raises((TypeError, ValueError)):
        serializer.dumpb(Opaque())


@pytest.mark.parametrize("serializer", [one for one in ALL if not isinstance(one, CBORSerializer)])
def test_too_deep_is_a_type_or_value_error(serializer: TaskiqSerializer) -> None:
    """Not CBOR: the encoder of cbor2 has no limit of its own but the process's stack."""
    with pytest.raises((TypeError, ValueError)):
        serializer.dumpb(nested(100_000))


@pytest.mark.parametrize("body", [b"", b"\xff\xfe\xfd", b"\x82\x01", b"[" * 100_000, b"\x91" * 100_000], ids=range(5))
def test_strange_bytes_are_a_value_error(serializer: TaskiqSerializer, body: bytes) -> None:
    with pytest.raises(ValueError, match="cannot read the bytes: "):
        serializer.loadb(body)


def test_json_is_written_as_the_standard_library_does() -> None:
    assert JSONSerializer().dumpb({"a": ["ä", 1]}) == b'{"a": ["\\u00e4", 1]}'
    assert JSONSerializer(ensure_ascii=False).dumpb("ä") == '"ä"'.encode()
    assert JSONSerializer(default=str).dumpb(uuid.UUID(int=0)) == b'"00000000-0000-0000-0000-000000000000"'


def test_options_reach_the_library() -> None:
    import orjson

    assert ORJSONSerializer(option=orjson.OPT_SORT_KEYS).dumpb({"b": 1, "a": 2}) == b'{"a":2,"b":1}'
    assert ORJSONSerializer(default=lambda _: "x").dumpb(object()) == b'"x"'
    assert CBORSerializer(canonical=True).dumpb({"bb": 1, "a": 2}) == CBORSerializer().dumpb({"a": 2, "bb": 1})
    assert CBORSerializer(object_hook=lambda found, _: list(found)).loadb(b"\xa1\x01\x02") == [1]
    with pytest.raises(TypeError):
        CBORSerializer(no_such_option=True)


@pytest.mark.parametrize(
    ("kind", "package", "extra"), [(ORJSONSerializer, "orjson", "orjson"), (CBORSerializer, "cbor2", "cbor")]
)
def test_a_missing_package_is_named_with_the_way_to_get_it(
    monkeypatch: pytest.MonkeyPatch, kind: type[TaskiqSerializer], package: str, extra: str
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(
        ImportError, match=rf'{kind.__name__} needs the package {package}.*pip install "taskiq-core\[{extra}\]"'
    ):
        kind()
