"""Calling a function with arguments that have travelled."""

import pytest

from taskiq_core.exceptions import ArgumentError
from taskiq_core.signature import compile_arguments
from taskiq_core.wire import pack, unpack


def call(func, *args, cast=True, injected=(), **kwargs):
    """What the function gets after its arguments have travelled."""
    sent_args, sent_kwargs = unpack(pack([list(args), kwargs]))
    called, named = compile_arguments(func, cast=cast, injected=injected, task_name="task")(sent_args, sent_kwargs)
    return func(*called, **named)


def refusal(func, *args, **kwargs) -> str:
    with pytest.raises(ArgumentError) as caught:
        call(func, *args, **kwargs)
    assert caught.value.task_name == "task"
    return caught.value.reason


def plain(a: int, b: str = "b", *, c: float = 1.5):
    return a, b, c
