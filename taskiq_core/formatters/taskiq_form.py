"""Taskiq's own form of a message: six fields of plain data, label values as text with their types beside them."""

import base64
import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, cast

from pydantic import BaseModel

from taskiq_core.exceptions import MessageDecodeError
from taskiq_core.formatters.envelope import label_text
from taskiq_core.labels import parse_bool
from taskiq_core.message import TaskiqMessage

_SHAPE = (str, str, dict, list, dict)
_ANY = 1
_CODES: dict[type, int] = {int: 2, str: 3, float: 4, bool: 5, bytes: 6}
_READERS: dict[int, Callable[[str], Any]] = {2: int, 4: float, 5: parse_bool, 6: base64.b64decode}


def to_form(message: TaskiqMessage, labels: dict[str, Any]) -> dict[str, Any]:
    """The six fields; `labels` are those that are sent.

    Arguments that are pydantic models or dataclasses become dicts; what is inside other arguments is the serializer's
    business.

    :raises ValueError: for an argument that is a dataclass itself rather than an instance of one.
    """
    return {
        "task_id": message.task_id,
        "task_name": message.task_name,
        "labels": {name: label_text(value) for name, value in labels.items()},
        "labels_types": {name: _label_type(value) for name, value in labels.items()},
        "args": [_plain(value) for value in message.args],
        "kwargs": {name: _plain(value) for name, value in message.kwargs.items()},
    }


def from_form(data: Any) -> TaskiqMessage:
    """The message of the six fields; unknown ones are ignored, `labels_types` may be absent or None.

    :raises MessageDecodeError: for anything else.
    """
    if not isinstance(data, Mapping):
        raise MessageDecodeError(reason=f"expected an object with the fields of a task, got {type(data).__name__}")
    fields = cast("Mapping[Any, Any]", data)
    types = fields.get("labels_types")
    labels = _field(fields, "labels", dict)
    if types is not None:
        labels = _typed(labels, _field(fields, "labels_types", dict))
    return checked(
        _field(fields, "task_id", str),
        _field(fields, "task_name", str),
        labels,
        _field(fields, "args", list),
        _field(fields, "kwargs", dict),
    )


def checked(task_id: Any, task_name: Any, labels: Any, args: Any, kwargs: Any) -> TaskiqMessage:
    """The message of five values that came from a wire.

    :raises MessageDecodeError: if one has the wrong type, or an id or name is empty or not what a store can hold.
    """
    shape = (task_id.__class__, task_name.__class__, labels.__class__, args.__class__, kwargs.__class__)
    if shape != _SHAPE:
        kinds = ", ".join(kind.__name__ for kind in shape)
        raise MessageDecodeError(reason=f"id, name, labels, args, kwargs must be str, str, dict, list, dict, got {kinds}")
    if not (task_id and task_name):
        raise MessageDecodeError(reason=f"the task {'name' if task_id else 'id'} is empty")
    for text in (task_id, task_name):
        if not (text.isascii() or _is_unicode(text)):
            raise MessageDecodeError(reason=f"task id and name must be Unicode, got half a character among {len(text)}")
    for mapping in (labels, kwargs):
        for key in mapping:
            if type(key) is not str:
                raise MessageDecodeError(reason=f"names of labels and arguments must be texts, got {type(key).__name__}")
    return TaskiqMessage(task_id, task_name, labels, args, kwargs)


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:  # half a character
        return False
    return True


def _label_type(value: object) -> int:
    return _CODES.get(type(value), _ANY)


def _plain(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    if dataclasses.is_dataclass(value):
        if isinstance(value, type):
            msg = f"the dataclass {value.__qualname__} was given as an argument; an instance of it was expected"
            raise ValueError(msg)
        return dataclasses.asdict(value)
    return value


def _field(fields: Mapping[Any, Any], name: str, kind: type) -> Any:
    if name not in fields:
        raise MessageDecodeError(reason=f"the field {name!r} is missing")
    value = fields[name]
    if type(value) is not kind:
        raise MessageDecodeError(reason=f"the field {name!r} must be {kind.__name__}, got {type(value).__name__}")
    return value


def _typed(labels: dict[str, Any], types: dict[str, Any]) -> dict[str, Any]:
    typed = dict(labels)
    for name, code in types.items():
        reader = _READERS.get(code) if type(code) is int else None
        value = labels.get(name)
        if reader is not None and isinstance(value, str):
            try:
                typed[name] = reader(value)
            except ValueError as error:
                reason = f"label {name!r:.100}: a text of {len(value)} characters is not of type {code}"
                raise MessageDecodeError(reason=reason) from error
    return typed
