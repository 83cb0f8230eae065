"""Keys are made of what a task gets, and a key that cannot work is refused where it is written."""

from collections.abc import Callable
from typing import Annotated, Any

import pytest
from pydantic import BaseModel

from taskiq_core import ArgumentError, Concurrency, Context, InMemoryBroker, TaskiqDepends, TaskRouter, Throttle, Unique
from taskiq_core.exceptions import ConfigurationError
from taskiq_core.key_template import KeyTemplate
from taskiq_core.limits import Key


class Order(BaseModel):
    id: int
    tags: dict[str, str] = {}


def ship(order: Order, express: bool = False, *, ctx: Context = TaskiqDepends(), note: str = "none") -> None: ...


def key_of(key: Key | None, *args: Any, func: Callable[..., Any] = ship, **kwargs: Any) -> str:
    return KeyTemplate(key, func, task_name="shop:ship")(args, kwargs)


def test_values_are_what_the_annotations_say_and_defaults_count():
    order = {"id": "17", "tags": {"to": "Rome"}}
    assert key_of("{order.id}", order) == "17"
    assert key_of("{order.tags[to]}/{express}/{note}", order, note="fragile") == "Rome/False/fragile"
    assert key_of("{order.id:>{order.id}}|{{}}", {"id": 3}) == "  3|{}"
    assert key_of(None, order) == ""


def test_a_function_gets_the_arguments_that_it_names():
    order = {"id": 17}
    assert key_of(lambda order: order.id % 10, order) == "7"
    assert key_of(lambda note, express: (note, express), order, True) == "('none', True)"
    assert key_of(lambda **all: sorted(all), order) == "['express', 'note', 'order']"


def test_injected_parameters_are_no_arguments():
    def task(ctx: Annotated[Context, TaskiqDepends()], a: int, *rest: int, **more: int) -> None: ...

    with pytest.raises(ConfigurationError, match=r"'ctx' is injected.*arguments are 'a', 'rest', 'more'"):
        key_of("{ctx}", func=task)
    assert key_of("{a}", "4", func=lambda a, ctx=TaskiqDepends(Order): None) == "4"


@pytest.mark.parametrize(
    ("key", "says"),
    [
        ("{order_id}", "names 'order_id'.*arguments are 'order', 'express', 'note'"),
        ("{ctx.task_id}", "'ctx' is injected"),
        ("{}", "names ''"),
        ("{0}", "names '0'"),
        ("{order", "cannot be read"),
        ("{order!q}", "no conversion !q"),
        (lambda o: o.id, "names 'o'"),
        (str, "parameters are not known"),
    ],
)
@pytest.mark.parametrize("option", ["limits", "unique", "throttle"])
def test_wrong_keys_are_refused_at_registration(option: str, key: Key, says: str):
    value = {"limits": Concurrency(1, key=key), "unique": Unique(key=key), "throttle": Throttle(1, key=key)}[option]
    for owner in (InMemoryBroker(), TaskRouter()):
        with pytest.raises(ConfigurationError, match=f"(?s)'shop:ship' has the key .*{says}"):
            owner.register_task(ship, "shop:ship", **{option: value})


def test_what_the_function_would_refuse_has_no_key():
    with pytest.raises(ArgumentError):
        key_of("{order.id}", {"id": "x"})
    with pytest.raises(ArgumentError, match=r"'shop:ship' got .* key '{order.number}' cannot be made: AttributeError: "):
        key_of("{order.number}", {"id": 1})
    with pytest.raises(ArgumentError, match="<lambda>' cannot be made: ZeroDivisionError: "):
        key_of(lambda order: 1 / 0, {"id": 1})


def test_every_key_can_be_stored():
    def task(a: str) -> None: ...

    odd = ("\ud800", "\ud801", "\ud83d\udca5", "x" * 201, "x" * 202, "é" * 101, "a\0b", "a\0c")
    keys = [key_of("{a}", value, func=task) for value in odd]
    assert len({key.encode() for key in keys}) == len(odd)
    assert {len(key) for key in keys} == {71}
    for kept in ("", "é" * 100, "x" * 200, "💥"):
        assert key_of("{a}", kept, func=task) == kept


def itself(tags: Any) -> Any:
    return tags


def paired(tags: Any) -> Any:
    return tags, 1


@pytest.mark.parametrize("key", ["{tags}", "{tags!s}", "{tags!r:>9}", itself, paired])
def test_sets_and_dicts_have_one_text_whatever_the_order_of_their_members(key: Key):
    def work(tags: Any) -> None: ...

    def keys(*values: Any) -> set[str]:
        return {key_of(key, value, func=work) for value in values}

    assert len(keys({8, 0}, {0, 8}, frozenset([0, 8]))) == 1  # 0 and 8 have one place in the table
    assert len(keys({"a": {"x": [1], "y": 2}, "b": 3}, {"b": 3, "a": {"y": 2, "x": [1]}})) == 1
    assert len(keys([{8, 0}, ({"a": 1, "b": 2},)], [{0, 8}, ({"b": 2, "a": 1},)])) == 1
    assert len(keys([1, 2], [2, 1], (1, 2), {1, 2}, {1: 2}, {"1": 2})) == 6
