"""`taskiq_core.__all__` is the list of what is public, complete and documented. (Its order is the linter's business.)"""

import inspect
from types import ModuleType

import pytest

import taskiq_core


def test_all_names_exactly_what_can_be_seen() -> None:
    public = {
        name for name in dir(taskiq_core) if not name.startswith("_") and not isinstance(getattr(taskiq_core, name), ModuleType)
    }
    assert {name for name in taskiq_core.__all__ if not name.startswith("__")} == public


@pytest.mark.parametrize("name", [name for name in taskiq_core.__all__ if not name.startswith("__")])
def test_every_public_name_has_a_docstring_of_its_own(name: str) -> None:
    value = getattr(taskiq_core, name)
    if inspect.isclass(value):
        own = vars(value).get("__doc__") or ""
        assert own and not own.startswith(f"{name}("), "a dataclass's signature is not a docstring"
    elif callable(value):
        assert inspect.getdoc(value)


def test_the_package_says_what_it_is() -> None:
    assert taskiq_core.__doc__
