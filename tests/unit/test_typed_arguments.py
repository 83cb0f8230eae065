"""Arguments get the types of their annotations, or are refused without being shown."""

import dataclasses
import enum
import logging
import traceback
import uuid
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, Field, field_validator
from support.arguments import call, plain, refusal
from typing_extensions import TypedDict

from taskiq_core.error_codec import exception_to_data
from taskiq_core.exceptions import ArgumentError
from taskiq_core.signature import compile_arguments, explain, resolve_hints


class Colour(enum.Enum):
    RED = "red"


class Item(BaseModel):
    price: Decimal
    count: int = 1


@dataclasses.dataclass
class Point:
    x: int
    y: float


class Options(TypedDict):
    size: int


NOW = datetime(2026, 1, 2, 3, 4, tzinfo=UTC)
ID = uuid.UUID(int=7)


@pytest.mark.parametrize(
    ("annotation", "value", "expected"),
    [
        (int, 5, 5),
        (int, "5", 5),
        (str, "5", "5"),
        (float, 1, 1.0),
        (bool, True, True),
        (bytes, b"\xff", b"\xff"),
        (uuid.UUID, ID, ID),
        (uuid.UUID, str(ID), ID),
        (datetime, NOW, NOW),
        (datetime, NOW.isoformat(), NOW),
        (timedelta, timedelta(hours=1), timedelta(hours=1)),
        (Decimal, Decimal("1.10"), Decimal("1.10")),
        (Decimal, "1.10", Decimal("1.10")),
        (Colour, Colour.RED, Colour.RED),
        (set[int], {1, 2}, {1, 2}),
        (set[int], [1, 2], {1, 2}),
        (tuple[int, str], (1, "a"), (1, "a")),
        (Item, Item(price=Decimal(3)), Item(price=Decimal(3))),
        (list[Item], [Item(price=Decimal(3))], [Item(price=Decimal(3))]),
        (dict[str, Point], {"p": Point(1, 2.0)}, {"p": Point(1, 2.0)}),
        (Point, Point(1, 2.0), Point(1, 2.0)),
        (Options, {"size": "3"}, {"size": 3}),
        (int | None, None, None),
        (int | str, "5", "5"),
        (Literal["a"], "a", "a"),
        (Annotated[int, Field(gt=0)], "5", 5),
        (Any, "5", "5"),
        (None, None, None),
    ],
)
def test_a_value_gets_the_type_of_its_annotation(annotation, value, expected):
    def f(x):
        return x

    f.__annotations__["x"] = annotation
    got = call(f, value)
    assert got == expected
    assert type(got) is type(expected)
    assert call(f, x=value) == expected


def test_a_value_of_the_right_type_is_handed_over_as_it_is():
    item = Item(price=Decimal(1))

    def f(x: Item): ...

    assert compile_arguments(f)([item], {})[0][0] is item


def test_a_constrained_value_is_checked_though_its_type_is_right():
    def f(x: Annotated[int, Field(gt=0)]): ...

    assert "greater than 0" in refusal(f, -1)


def test_none_fits_only_where_the_signature_says_so():
    def f(a: int, b: int = None, c: int | None = 1):  # type: ignore[assignment]  # noqa: RUF013
        return a, b, c

    assert call(f, 1, None, None) == (1, None, None)
    assert refusal(f, None).startswith("argument 'a' does not fit int")
    assert call(f, None, cast="lenient") == (None, None, 1)


def test_a_refusal_names_the_parameter_the_type_and_the_place():
    def f(order: dict[str, list[Item]]): ...

    reason = refusal(f, {"items": [{"price": 1, "count": "many"}]})
    assert reason.startswith("argument 'order' does not fit dict[str, list[")
    assert "at items.0.count: Input should be a valid integer" in reason


def test_many_misfits_are_cut_short():
    def f(numbers: list[int]): ...

    assert refusal(f, ["x"] * 10).endswith("; and 7 more")


class Card(BaseModel):
    number: str

    @field_validator("number")
    @classmethod
    def _check(cls, value: str) -> str:
        msg = f"bad number {value}"
        raise ValueError(msg)


class Rude:
    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: Any) -> Any:
        from pydantic_core import core_schema

        def fail(value: Any) -> Any:
            raise LookupError(value)

        return core_schema.no_info_plain_validator_function(fail)


@pytest.mark.parametrize("annotation", [int, uuid.UUID, Colour, Card, list[int], Rude, Literal["a"], int | None, datetime])
def test_a_refusal_never_shows_the_value(annotation):
    def f(x): ...

    f.__annotations__["x"] = annotation
    secret = "s3cr3t-t0k3n"
    value = {"number": secret} if annotation is Card else secret
    with pytest.raises(ArgumentError) as caught:
        call(f, value)
    everything = "".join(traceback.format_exception(caught.value)) + str(exception_to_data(caught.value)) + repr(caught.value)
    assert secret not in everything
    assert caught.value.__context__ is None


def test_lenient_passes_the_raw_value_on_with_a_warning(caplog):
    with caplog.at_level(logging.WARNING):
        assert call(plain, "s3cr3t", c="2", cast="lenient") == ("s3cr3t", "b", 2.0)
    assert "argument 'a' does not fit int" in caplog.text
    assert "s3cr3t" not in caplog.text


def test_without_casting_nothing_is_converted():
    assert call(plain, "1", 2, c="3", cast=False) == ("1", 2, "3")


def test_annotations_that_cannot_be_applied_are_reported_once_and_left_alone(caplog):
    class Client:
        pass

    def f(a: "Nowhere", b: "int", c: Client, d: str = "d"):  # type: ignore[name-defined]  # noqa: F821
        return a, b, c, d

    with caplog.at_level(logging.WARNING):
        got = call(f, "x", "1", 5)
    assert got == ("x", 1, 5, "d")
    assert [record.message for record in caplog.records] == [
        "Task 'task': annotations that cannot be applied, so these arguments are passed on as they come: a, c"
    ]


def test_injected_parameters_raise_no_warning_and_are_typed_when_sent(caplog):
    class Session:
        pass

    def f(session: Session, item: Item): ...

    binder = compile_arguments(f, injected={"session", "item"})
    assert binder([], {"item": {"price": 1}}) == ([], {"item": Item(price=Decimal(1))})
    assert binder([], {"session": "s"}) == ([], {"session": "s"})
    assert not caplog.records


def test_hints_are_resolved_one_by_one():
    def f(a: "int", b: "missing") -> "str": ...  # type: ignore[name-defined, empty-body]  # noqa: F821

    assert resolve_hints(f) == ({"a": int, "return": str}, ["b"])


def test_an_unknown_tag_of_a_union_is_not_shown():
    from pydantic import TypeAdapter, ValidationError

    class A(BaseModel):
        kind: Literal["a"]

    class B(BaseModel):
        kind: Literal["b"]

    with pytest.raises(ValidationError) as caught:
        TypeAdapter(Annotated[A | B, Field(discriminator="kind")]).validate_python({"kind": "s3cr3t"})
    assert explain(caught.value) == "Input should have one of the tags 'a', 'b'"
