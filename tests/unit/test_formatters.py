"""Formatters: what goes over the wire, what comes back, and what strange bytes do."""

import json
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import msgpack
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from taskiq_core.abc.formatter import TaskiqFormatter
from taskiq_core.exceptions import MessageDecodeError
from taskiq_core.formatters import JSONFormatter, MsgpackFormatter, ProxyFormatter
from taskiq_core.message import BrokerMessage, TaskiqMessage
from taskiq_core.serializers import CBORSerializer, JSONSerializer, MSGPackSerializer, ORJSONSerializer, PickleSerializer
from taskiq_core.wire import pack


class Point(BaseModel):
    x: int
    at: datetime


@dataclass
class Pair:
    left: int
    right: str


FORMATTERS: list[TaskiqFormatter] = [
    MsgpackFormatter(),
    JSONFormatter(),
    *(ProxyFormatter(s()) for s in (JSONSerializer, ORJSONSerializer, MSGPackSerializer, CBORSerializer, PickleSerializer)),
]
TAKEN_FROM_TASKIQ = (
    b'{"task_id": "abc", "task_name": "mod:fn", "labels": {"n": "3", "t": "x", "f": "1.5", "b": "True", "raw": "AP8=", '
    b'"o": "[1]"}, "labels_types": {"n": 2, "t": 3, "f": 4, "b": 5, "raw": 6, "o": 1}, "args": [1, "\\u00e4"], '
    b'"kwargs": {"k": null}}'
)
LABELS = {"n": 3, "t": "x", "f": 1.5, "b": True, "raw": b"\x00\xff"}


@pytest.fixture(params=FORMATTERS, ids=lambda f: type(getattr(f, "serializer", f)).__name__)
def formatter(request: pytest.FixtureRequest) -> TaskiqFormatter:
    return request.param


def test_a_message_comes_back_as_it_went(formatter: TaskiqFormatter) -> None:
    message = TaskiqMessage("id", "mod:fn", dict(LABELS), [1, "ä", None, [1.5, {"a": True}]], {"key": {"b": []}})
    sent = formatter.dumps(message)
    assert (sent.task_id, sent.task_name) == ("id", "mod:fn")
    assert formatter.loads(sent.message) == message


def test_an_empty_message_comes_back_as_it_went(formatter: TaskiqFormatter) -> None:
    message = TaskiqMessage("id", "mod:fn")
    sent = formatter.dumps(message)
    assert sent == BrokerMessage("id", "mod:fn", sent.message)
    assert formatter.loads(sent.message) == message


def test_labels_outside_the_body_are_texts_and_the_known_ones_typed(formatter: TaskiqFormatter) -> None:
    labels = {"queue_name": "mail", "priority": "7", "delay": 5.0, "n": 1, "b": False, "raw": b"\x00\xff"}
    sent = formatter.dumps(TaskiqMessage("id", "mod:fn", labels))
    assert (sent.queue, sent.priority, sent.delay) == ("mail", 7, 5.0)
    assert sent.labels == {"queue_name": "mail", "priority": "7", "delay": "5", "n": "1", "b": "False", "raw": "AP8="}


def test_half_a_second_of_delay_stays_half_a_second(formatter: TaskiqFormatter) -> None:
    sent = formatter.dumps(TaskiqMessage("id", "mod:fn", {"delay": 0.5}))
    assert (sent.delay, sent.labels["delay"]) == (0.5, "0.5")


@pytest.mark.parametrize("labels", [{"priority": 10}, {"delay": "soon"}, {"delay": -1}])
def test_a_known_label_that_cannot_be_read_is_refused_before_sending(
    formatter: TaskiqFormatter, labels: dict[str, Any]
) -> None:
    with pytest.raises(ValueError, match=next(iter(labels))):
        formatter.dumps(TaskiqMessage("id", "mod:fn", labels))


def test_local_labels_stay_at_home(formatter: TaskiqFormatter) -> None:
    labels = {"schedule": [{"cron": "* * * * *"}], "types_of_exceptions": (ValueError,), "team": "x"}
    sent = formatter.dumps(TaskiqMessage("id", "mod:fn", labels))
    assert sent.labels == formatter.loads(sent.message).labels == {"team": "x"}
    assert len(labels) == 3


def test_models_and_dataclasses_go_as_plain_data(formatter: TaskiqFormatter) -> None:
    message = TaskiqMessage("id", "mod:fn", {}, [Pair(1, "a")], {"point": Point(x=1, at=datetime(2026, 1, 1, tzinfo=UTC))})
    back = formatter.loads(formatter.dumps(message).message)
    assert back.args == [{"left": 1, "right": "a"}]
    assert Point.model_validate(back.kwargs["point"]) == message.kwargs["point"]


def test_a_dataclass_type_is_refused(formatter: TaskiqFormatter) -> None:
    with pytest.raises((ValueError, TypeError)):
        formatter.dumps(TaskiqMessage("id", "mod:fn", {}, [Pair]))
    if not isinstance(formatter, MsgpackFormatter):
        with pytest.raises(ValueError, match="Pair"):
            formatter.dumps(TaskiqMessage("id", "mod:fn", {}, [Pair]))


def test_the_default_form_keeps_types_that_json_lacks() -> None:
    values = [uuid.uuid4(), datetime.now(UTC), Decimal("1.10"), {1, 2}, b"\xff", 2**100]
    formatter = MsgpackFormatter()
    message = TaskiqMessage("id", "mod:fn", {"when": values[1]}, values)
    assert formatter.loads(formatter.dumps(message).message) == message


def test_json_bodies_take_what_pydantic_can_write() -> None:
    key = uuid.uuid4()
    back = JSONFormatter().loads(JSONFormatter().dumps(TaskiqMessage("id", "mod:fn", {}, [key, {1}, [Pair(1, "a")]])).message)
    assert back.args == [str(key), [1], [{"left": 1, "right": "a"}]]
    with pytest.raises(ValueError, match="utf-8"):
        JSONFormatter().dumps(TaskiqMessage("id", "mod:fn", {}, [b"\xff"]))


def test_bodies_are_byte_for_byte_taskiqs() -> None:
    message = TaskiqMessage("abc", "mod:fn", {**LABELS, "o": [1]}, [1, "ä"], {"k": None})
    assert ProxyFormatter(JSONSerializer()).dumps(message).message == TAKEN_FROM_TASKIQ
    compact = json.dumps(json.loads(TAKEN_FROM_TASKIQ), separators=(",", ":"), ensure_ascii=False).encode()
    assert JSONFormatter().dumps(message).message == compact


@pytest.mark.parametrize("reader", [MsgpackFormatter(), JSONFormatter(), ProxyFormatter(JSONSerializer())])
def test_taskiqs_bodies_are_read(reader: TaskiqFormatter) -> None:
    assert reader.loads(TAKEN_FROM_TASKIQ) == TaskiqMessage("abc", "mod:fn", {**LABELS, "o": "[1]"}, [1, "ä"], {"k": None})


@pytest.mark.parametrize("types", [b"null", None])
def test_without_label_types_labels_stay_as_they_are(types: bytes | None) -> None:
    middle = b"" if types is None else b'"labels_types":' + types + b","
    body = b'{"task_id":"a","task_name":"b","labels":{"n":"3","m":4},' + middle + b'"args":[],"kwargs":{}}'
    assert MsgpackFormatter().loads(body).labels == {"n": "3", "m": 4}


def test_a_proxy_follows_the_brokers_serializer() -> None:
    class Holder:
        serializer: Any = JSONSerializer()

    holder = Holder()
    formatter = ProxyFormatter(holder)
    assert formatter.dumps(TaskiqMessage("a", "b")).message.startswith(b"{")
    holder.serializer = MSGPackSerializer()
    assert not formatter.dumps(TaskiqMessage("a", "b")).message.startswith(b"{")


GOOD = [1, "id", "name", {}, [], {}]
BAD_BODIES: dict[str, tuple[bytes, str]] = {
    "nothing": (b"", "not msgpack"),
    "garbage": (b"\xc1\xff\x00garbage", "not msgpack"),
    "text": (b"hello", "not msgpack"),
    "cut off": (pack(GOOD)[:-1], "not msgpack"),
    "too long": (pack(GOOD) + b"x", "not msgpack"),
    "newer version": (pack([2, "id", "name", {}, [], {}, "more"]), "version 2, this release reads version 1"),
    "no version": (pack(["1", "id", "name", {}, [], {}]), "version"),
    "true is no version": (pack([True, "id", "name", {}, [], {}]), "version"),
    "too few": (pack([1, "id"]), "expected 6 fields, got 2"),
    "no fields": (pack([]), "version"),
    "a map": (pack({"a": 1}), "array"),
    "id is a number": (pack([1, 7, "name", {}, [], {}]), "str"),
    "id is empty": (pack([1, "", "name", {}, [], {}]), "empty"),
    "args is a map": (pack([1, "id", "name", {}, {}, {}]), "dict, list, dict"),
    "kwargs with numbers": (pack([1, "id", "name", {}, [], {1: 2}]), "names"),
    "labels is none": (pack([1, "id", "name", None, [], {}]), "NoneType"),
    "json, half": (b'{"task_id": "a"', "not JSON"),
    "json, no task": (b"{}", "missing"),
    "json, wrong args": (b'{"task_id":"a","task_name":"b","labels":{},"args":{},"kwargs":{}}', "args"),
    "json, wrong label": (
        b'{"task_id":"a","task_name":"b","labels":{"n":"x"},"labels_types":{"n":2},"args":[],"kwargs":{}}',
        "label 'n'",
    ),
    "json, not utf-8": (b'{"task_id":"\xff"}', "not JSON"),
    "json, deep": (b'{"a":' + b"[" * 100_000, "not JSON"),
    "sets in sets": (b"\xc7\x05\x07" * 3000, "not msgpack"),
}


@pytest.mark.parametrize("name", BAD_BODIES)
def test_bad_bodies_say_why(name: str) -> None:
    body, reason = BAD_BODIES[name]
    with pytest.raises(MessageDecodeError, match=reason):
        MsgpackFormatter().loads(body)


@pytest.mark.parametrize(
    "body",
    [
        b"secret",
        b'{"secret',
        b"secret".join(pack([1, "id", "name", {}, [], {}]).partition(b"name")),
        pack("secret"),
        pack(["secret"]),
        pack([1, "", "secret", {}, [], {}]),
        pack([1, "secret\ud800", "name", {}, [], {}]),
        pack([1, "id", "name", {}, [], {b"secret": 1}]),
        pack(msgpack.ExtType(2, b"secret")),
        pack([1, "id", "name", {}, [msgpack.ExtType(9, b"secret")], {}]),
        b'{"task_id": "1", "task_name": "n", "labels": {"a": "secret"}, "labels_types": {"a": 2}, "args": [], "kwargs": {}}',
    ],
)
def test_reasons_show_no_payload(body: bytes) -> None:
    for formatter in (
        MsgpackFormatter(),
        JSONFormatter(),
        ProxyFormatter(JSONSerializer()),
        ProxyFormatter(ORJSONSerializer()),
    ):
        with pytest.raises(MessageDecodeError) as caught:
            formatter.loads(body)
        assert "secret" not in str(caught.value)


@settings(max_examples=300, deadline=None)
@given(st.binary() | st.binary().map(lambda tail: b"\x96\x01" + tail) | st.binary().map(lambda tail: b"{" + tail))
def test_any_bytes_are_a_message_or_a_decode_error(body: bytes) -> None:
    for formatter in FORMATTERS[:-1]:  # pickle runs what it reads
        try:
            assert isinstance(formatter.loads(body), TaskiqMessage)
        except MessageDecodeError as error:
            assert str(error)


PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.binary(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


@settings(max_examples=100, deadline=None)
@given(
    st.lists(PLAIN), st.dictionaries(st.text(), PLAIN), st.dictionaries(st.text(), st.integers() | st.booleans() | st.binary())
)
def test_whatever_is_sent_comes_back(args: list[Any], kwargs: dict[str, Any], labels: dict[str, Any]) -> None:
    message = TaskiqMessage("id", "name", {f"x-{name}": value for name, value in labels.items()}, args, kwargs)
    formatter = MsgpackFormatter()
    assert formatter.loads(formatter.dumps(message).message) == message
