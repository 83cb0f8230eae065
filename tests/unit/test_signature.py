"""Arguments are bound to parameters before a function is called, and results typed after it."""

import dataclasses
import functools
from collections.abc import Awaitable
from decimal import Decimal
from typing import Any

import pytest
from pydantic import BaseModel
from support.arguments import call, plain, refusal

from taskiq_core.exceptions import ArgumentError, ConfigurationError
from taskiq_core.signature import compile_arguments, return_adapter, retype
from taskiq_core.wire import pack, unpack


class Item(BaseModel):
    price: Decimal
    count: int = 1


@dataclasses.dataclass
class Point:
    x: int
    y: float


# -- binding ---------------------------------------------------------------------------------------------------------------


def test_names_places_and_defaults():
    assert call(plain, 1) == (1, "b", 1.5)
    assert call(plain, 1, "x", c=2.0) == (1, "x", 2.0)
    assert call(plain, b="x", a=1) == (1, "x", 1.5)
    assert call(lambda: "nothing") == "nothing"


def test_wrong_arguments_are_named():
    assert refusal(plain) == "missing argument 'a'"
    assert refusal(lambda x, y, *, z: None, 1) == "missing arguments 'y', 'z'"
    assert refusal(plain, 1, d=2) == "unexpected argument 'd'"
    assert refusal(plain, 1, a=2) == "argument 'a' was given twice, by position and by name"
    assert refusal(plain, 1, "b", 3) == "it takes 2 positional arguments and got 3"
    assert refusal(lambda: None, 1) == "it takes 0 positional arguments and got 1"


def test_names_are_checked_without_casting_too():
    assert refusal(plain, cast=False) == "missing argument 'a'"
    assert refusal(plain, 1, d=2, cast="lenient") == "unexpected argument 'd'"


def test_open_ended_parameters_convert_each_value():
    def many(first: str, *rest: int, **named: Decimal):
        return first, rest, named

    assert call(many, "a", "1", 2, x="1.5") == ("a", (1, 2), {"x": Decimal("1.5")})
    assert refusal(many, "a", "one").startswith("argument 'rest' does not fit int")
    assert refusal(many, "a", x="one").startswith("argument 'x' does not fit Decimal")
    with pytest.raises(ArgumentError, match="unexpected argument 5"):
        compile_arguments(many)(["a"], {5: 1})  # type: ignore[dict-item]


def test_positional_only_parameters():
    def f(a, /, b):
        return a, b

    def g(a, /, **named):
        return a, named

    assert call(f, 1, b=2) == (1, 2)
    assert refusal(f, b=2, a=1) in ("unexpected argument 'a'", "missing argument 'a'")
    assert call(g, 1, a=2) == (1, {"a": 2})


def test_injected_parameters_are_skipped_and_may_be_given_by_name():
    def f(ctx, a: int, b: int = 0):
        return ctx, a, b

    binder = compile_arguments(f, injected={"ctx"})
    assert binder(["1", 2], {}) == ([], {"a": 1, "b": 2})
    assert binder([1], {"ctx": "mine"}) == ([], {"a": 1, "ctx": "mine"})
    with pytest.raises(ArgumentError, match="missing argument 'a'"):
        binder([], {})

    def last(a, ctx=None, *, key):
        return a, ctx, key

    assert compile_arguments(last, injected={"ctx"})([1], {"key": 2}) == ([1], {"key": 2})


def test_an_injected_parameter_that_cannot_be_named_is_refused_at_once():
    with pytest.raises(ConfigurationError, match="'ctx' must be a keyword parameter"):
        compile_arguments(lambda a, ctx, /: None, injected={"ctx"})
    with pytest.raises(ConfigurationError, match="move it behind"):
        compile_arguments(lambda a, ctx=None, *rest: None, injected={"ctx"})
    compile_arguments(lambda a, *rest, ctx=None: None, injected={"ctx"})


def test_the_message_is_not_changed():
    args, kwargs = ["1"], {"c": "2"}
    compile_arguments(plain)(args, kwargs)
    assert (args, kwargs) == (["1"], {"c": "2"})


def test_callables_of_other_kinds():
    class Job:
        def __call__(self, a: int):
            return a

    assert call(Job(), "1") == 1
    assert call(functools.partial(plain, b="p"), "1") == (1, "p", 1.5)
    assert compile_arguments(dict.fromkeys)(["ab"], {}) == (["ab"], {})


# -- results ---------------------------------------------------------------------------------------------------------------


def test_results_get_their_annotated_type_back():
    async def f() -> list[Item]: ...  # type: ignore[empty-body]

    def g() -> Awaitable[Point]: ...  # type: ignore[empty-body]

    value = [Item(price=Decimal(2))]
    assert retype(return_adapter(f), unpack(pack(value))) == value
    assert retype(return_adapter(g), {"x": 1, "y": 2}) == Point(1, 2.0)


def test_functions_without_a_usable_annotation_have_no_adapter():
    def none() -> None: ...
    def anything() -> Any: ...
    def bare(): ...
    def unknown() -> "Nowhere": ...  # type: ignore[name-defined]  # noqa: F821

    assert [return_adapter(f) for f in (none, anything, bare, unknown)] == [None] * 4
    assert retype(None, 5) == 5


def test_a_result_that_does_not_fit_is_left_alone_with_a_warning(caplog):
    def f() -> int: ...  # type: ignore[empty-body]

    assert retype(return_adapter(f), "s3cr3t") == "s3cr3t"
    assert "does not fit the task's return annotation" in caplog.text
    assert "s3cr3t" not in caplog.text
