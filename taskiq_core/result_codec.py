"""Results as bytes: the codec that every backend gets from the core, so that none needs pickle.

The form is a msgpack array: version, is_err, value, seconds, labels, error data (see `error_codec`), traceback text.
"""

from typing import Any

from taskiq_core.error_codec import exception_from_data, exception_to_data
from taskiq_core.exceptions import ResultNotSerializableError, ResultUnreadableError
from taskiq_core.result import TaskiqResult
from taskiq_core.wire import pack, unpack

_VERSION = 1


def dump_result(result: TaskiqResult[Any]) -> bytes:
    """Bytes of a result.

    :raises ResultNotSerializableError: if its value or labels cannot be expressed.
    """
    error = None if result.error is None else exception_to_data(result.error)
    fields = [_VERSION, result.is_err, result.return_value, result.execution_time, result.labels, error, result.traceback]
    try:
        return pack(fields)
    except Exception as refusal:
        raise ResultNotSerializableError(task_name="?", reason=f"{type(refusal).__name__}: {refusal}") from refusal


def load_result(body: bytes) -> TaskiqResult[Any]:
    """The result of `dump_result`'s bytes.

    :raises ResultUnreadableError: for any other bytes.
    """
    try:
        version, is_err, value, seconds, labels, error, traceback = unpack(body)
    except (TypeError, ValueError) as refusal:
        raise ResultUnreadableError(reason=str(refusal)) from refusal
    if version != _VERSION:
        raise ResultUnreadableError(reason=f"it has version {version!r} and this release reads {_VERSION}")
    return TaskiqResult(
        is_err=is_err,
        return_value=value,
        execution_time=seconds,
        labels=labels,
        error=None if error is None else exception_from_data(error),
        traceback=traceback,
    )
