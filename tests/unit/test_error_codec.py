"""Exceptions as data: what comes back, also of what is odd, and what must never happen."""

import json
from typing import Any

import pytest

from taskiq_core.error_codec import exception_from_data, exception_to_data
from taskiq_core.exceptions import SecurityError, TaskiqError, TaskRejectedError, TaskRetry
from taskiq_core.result import TaskiqResult
from taskiq_core.wire import pack, unpack


class Outer:
    class InnerError(Exception):
        pass


class TwoWordsError(Exception):
    def __init__(self, first: str, *, second: str) -> None:
        super().__init__(f"{first} {second}")
        self.second = second


class FullError(TaskiqError):
    __template__ = "Queue {queue} is full"
    queue: str


def there_and_back(error: BaseException) -> BaseException:
    return exception_from_data(unpack(pack(exception_to_data(error))))


@pytest.mark.parametrize(
    "error",
    [ValueError("a", 1), KeyError("k"), Outer.InnerError("x"), KeyboardInterrupt(), OSError(2, "no such file")],
    ids=repr,
)
def test_class_and_arguments_come_back(error: BaseException) -> None:
    back = there_and_back(error)
    assert type(back) is type(error)
    assert (back.args, str(back)) == (error.args, str(error))


@pytest.mark.parametrize(
    "error", [FullError(queue="a"), TaskRejectedError(reason="no"), TaskRetry("soon", delay=2.0)], ids=repr
)
def test_errors_of_the_framework_keep_their_fields(error: TaskiqError) -> None:
    back = there_and_back(error)
    assert type(back) is type(error)
    assert (str(back), vars(back)) == (str(error), vars(error))


def test_a_constructor_that_refuses_does_not_cost_the_class() -> None:
    back = there_and_back(TwoWordsError("a", second="b"))
    assert type(back) is TwoWordsError
    assert str(back) == "a b"


def test_arguments_that_are_no_data_become_their_repr() -> None:
    class Odd:
        def __repr__(self) -> str:
            return "<odd>"

    class Worse:
        def __repr__(self) -> str:
            raise RuntimeError("not even that")

    assert there_and_back(ValueError(Odd(), [Odd()])).args == ("<odd>", ["<odd>"])
    json.dumps(exception_to_data(ValueError(Worse(), {1: Odd()})))


def test_causes_and_contexts_come_back() -> None:
    def fail() -> None:
        try:
            try:
                raise KeyError("first")
            except KeyError as first:
                raise ValueError("second") from first
        except ValueError:
            raise TypeError("third")  # noqa: B904 - the implicit context is what is tested

    with pytest.raises(TypeError) as caught:
        fail()
    back = there_and_back(caught.value)
    assert isinstance(back.__context__, ValueError)
    assert isinstance(back.__context__.__cause__, KeyError)
    assert (back.__suppress_context__, back.__context__.__suppress_context__) == (False, True)


def test_a_chain_that_loops_is_cut() -> None:
    first, second = ValueError("first"), ValueError("second")
    first.__cause__, second.__cause__ = second, first
    back = there_and_back(first)
    assert back.__cause__ is not None
    assert back.__cause__.__cause__ is None


def test_a_chain_without_end_is_cut() -> None:
    error: Exception = ValueError(0)
    for depth in range(1, 5000):
        error, error.__cause__ = ValueError(depth), error
    top = ValueError("top")
    top.__cause__ = error
    there_and_back(top)


def count(data: Any) -> int:
    members = [count(member) for member in data.get("exc_group", [])]
    return 1 + sum(members) + sum(count(data[name]) for name in ("exc_cause", "exc_context") if data[name])


def raised_from(depth: int) -> Exception:
    try:
        if depth:
            raise raised_from(depth - 1)
        raise ValueError(0)
    except ValueError as error:
        try:
            raise ValueError(depth) from error
        except ValueError as outer:
            return outer


def test_a_cause_that_is_the_context_too_is_written_once_and_restored_as_both() -> None:
    error = raised_from(9)
    data = exception_to_data(error)
    assert count(data) <= 20
    back: BaseException | None = exception_from_data(unpack(pack(data)))
    for depth in range(9, -1, -1):
        assert back is not None
        assert back.args == (depth,)
        assert back.__context__ is back.__cause__
        back = back.__cause__


def test_one_limit_holds_for_chains_and_groups_together() -> None:
    def wide(depth: int) -> Exception:
        if not depth:
            return ValueError("leaf")
        error = ExceptionGroup(f"level {depth}", [wide(depth - 1) for _ in range(5)])
        error.__cause__, error.__context__ = KeyError("cause"), KeyError("context")
        return error

    error = wide(5)
    data = exception_to_data(error)
    assert count(data) == 50
    back = exception_from_data(unpack(pack(data)))
    assert isinstance(back, ExceptionGroup)
    assert len(back.exceptions) == 5, "those nearest to the top go first"
    assert (repr(back.__cause__), repr(back.__context__)) == ("KeyError('cause')", "KeyError('context')")
    assert count(exception_to_data(ExceptionGroup("many", [ValueError(n) for n in range(1000)]))) == 50


def test_a_class_that_is_not_known_here_gets_a_stand_in_of_its_name() -> None:
    back = exception_from_data({"exc_type": "no.Such", "exc_module": "not_imported_anywhere", "exc_message": ["x"]})
    assert (type(back).__name__, type(back).__module__, back.args) == ("Such", "not_imported_anywhere", ("x",))
    assert isinstance(back, Exception)


def test_nothing_is_imported_for_it() -> None:
    import sys

    sys.modules.pop("antigravity", None)
    exception_from_data({"exc_type": "Error", "exc_module": "antigravity", "exc_message": []})
    assert "antigravity" not in sys.modules


@pytest.mark.parametrize(("module", "name"), [("os", "system"), ("builtins", "eval"), ("builtins", "int"), ("os", "environ")])
def test_what_is_no_exception_class_is_refused(module: str, name: str) -> None:
    with pytest.raises(SecurityError, match=rf"Expected an exception class, got {module}\.{name} with payload \['rm"):
        exception_from_data({"exc_type": name, "exc_module": module, "exc_message": ["rm -rf"]})


@pytest.mark.parametrize("data", ["text", 7, [], {}, {"exc_type": None}, {"exc_type": "ValueError", "exc_message": None}])
def test_odd_data_is_some_exception(data: Any) -> None:
    assert isinstance(exception_from_data(data), BaseException)


def test_results_carry_errors_as_data() -> None:
    result: TaskiqResult[Any] = TaskiqResult(is_err=True, return_value=None, error=FullError(queue="a"))
    dumped = json.loads(json.dumps(result.model_dump(mode="json")))
    back = TaskiqResult[Any].model_validate(dumped)
    assert isinstance(back.error, FullError)
    assert back.error.queue == "a"
