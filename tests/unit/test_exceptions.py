"""The error classes: templates, fields, and what survives copying."""

import copy
import pickle

import pytest

import taskiq_core.exceptions as errors
from taskiq_core.exceptions import SendTaskError, TaskFailed, TaskiqError, TaskRetry


class FullError(TaskiqError):
    __template__ = "Queue {queue} holds {size} messages."
    queue: str
    size: int


class BurstError(FullError):
    __template__ = "Queue {queue} holds {size}, {over} too many."
    over: int = 1


class Mixed(FullError, ValueError):
    """Errors may be of a second kind too."""


def test_fields_fill_the_template() -> None:
    error = FullError(queue="mail", size=3)
    assert str(error) == "Queue mail holds 3 messages."
    assert error.args == (str(error),)
    assert (error.queue, error.size) == ("mail", 3)
    assert repr(error) == "FullError(queue='mail', size=3)"


def test_fields_are_inherited_and_defaults_may_be_left_out() -> None:
    assert str(BurstError(queue="mail", size=3)) == "Queue mail holds 3, 1 too many."
    assert BurstError(queue="mail", size=3, over=2).over == 2
    assert isinstance(Mixed(queue="mail", size=3), ValueError)


def test_a_message_may_be_given_as_it_is() -> None:
    error = FullError("no idea")
    assert (str(error), error.args) == ("no idea", ("no idea",))
    assert repr(error) == "FullError('no idea')"


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"queue": "a", "size": 1, "x": 1, "b": 2}, "Undeclared arguments: 'b', 'x'"),
        ({"queue": "a"}, "Missing arguments: 'size'"),
        ({}, "Missing arguments: 'queue', 'size'"),
    ],
)
def test_wrong_fields_are_a_type_error(fields: dict[str, object], text: str) -> None:
    with pytest.raises(TypeError, match=text):
        FullError(**fields)


def test_a_template_field_without_annotation_is_refused_with_the_class() -> None:
    with pytest.raises(ValueError, match=r"Wrong: fields of the template that have no annotation: size"):
        type("Wrong", (TaskiqError,), {"__template__": "{size} is too much"})


@pytest.mark.parametrize("error", [FullError(queue="a", size=1), FullError("text"), TaskRetry("soon", delay=3.0)], ids=repr)
@pytest.mark.parametrize("duplicate", [copy.copy, copy.deepcopy, lambda e: pickle.loads(pickle.dumps(e))])
def test_copies_keep_everything(error: TaskiqError, duplicate: object) -> None:
    twin = duplicate(error)  # type: ignore[operator]
    assert type(twin) is type(error)
    assert (str(twin), twin.args, vars(twin)) == (str(error), error.args, vars(error))


def test_signals_take_their_arguments_as_people_write_them() -> None:
    assert (TaskRetry(delay=5).delay, TaskRetry("busy").reason, TaskRetry().delay) == (5, "busy", None)
    assert (str(TaskFailed("no")), TaskFailed("no", retry=True).retry, TaskFailed().retry) == ("no", True, False)


def test_outcomes_of_sends() -> None:
    assert SendTaskError().outcome == "unknown"
    assert errors.MessageTooLargeError(size=2, limit=1).outcome == "refused"
    assert errors.SharedBrokerSendTaskError().outcome == "refused"


def test_every_error_belongs_to_the_tree_drawn_on_top() -> None:
    classes = [c for c in vars(errors).values() if isinstance(c, type) and issubclass(c, BaseException)]
    assert all(issubclass(c, TaskiqError) for c in classes)
    missing = [c.__name__ for c in classes if c.__name__ not in (errors.__doc__ or "")]
    assert missing == []
