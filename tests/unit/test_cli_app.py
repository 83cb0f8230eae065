"""Importing the application, and the sentences where that fails."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from taskiq_core.brokers.inmemory import InMemoryBroker
from taskiq_core.cli.app import import_modules, import_object, load_broker
from taskiq_core.exceptions import ConfigurationError


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    known = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - known:
        if not name.startswith("taskiq_core"):
            del sys.modules[name]


def write(name: str, text: str) -> None:
    path = Path(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("from taskiq_core.brokers.inmemory import InMemoryBroker\n" + text)


def refusal(reference: str) -> str:
    with pytest.raises(ConfigurationError) as caught:
        load_broker(reference)
    return str(caught.value)


def test_a_broker_of_a_module_in_the_working_directory() -> None:
    write("shop/tasks.py", "broker = InMemoryBroker()\nclass Holder:\n    inner = broker\n")
    assert isinstance(load_broker("shop.tasks:broker"), InMemoryBroker)
    assert load_broker("shop.tasks:Holder.inner") is load_broker("shop.tasks:broker")


def test_a_function_that_makes_a_broker_is_called() -> None:
    write("app1.py", "def make():\n    return InMemoryBroker()\n")
    assert isinstance(load_broker("app1:make"), InMemoryBroker)


def test_import_object_takes_anything() -> None:
    write("app2.py", "answer = 42\n")
    assert import_object("app2:answer") == 42


def test_a_module_that_does_not_exist(place: Path) -> None:
    assert refusal("nowhere:broker").startswith("Module 'nowhere' was not found.")
    assert str(place) in refusal("nowhere:broker")
    write("shop2/__init__.py", "")
    assert refusal("shop2.tasks:broker").startswith("Module 'shop2.tasks' was not found.")


def test_an_import_that_fails_inside_the_module_shows_where() -> None:
    write("app3.py", "\nimport no_such_library\nbroker = InMemoryBroker()\n")
    text = refusal("app3:broker")
    assert text.startswith("Module 'app3' was found, but importing it failed:\n")
    assert 'app3.py", line 3' in text
    assert text.endswith("ModuleNotFoundError: No module named 'no_such_library'")
    assert "taskiq_core/cli" not in text
    assert "importlib" not in text


@pytest.mark.parametrize(
    ("line", "text"), [("def", "SyntaxError"), ("1 / 0", "ZeroDivisionError"), ("exit(3)", "SystemExit: 3")]
)
def test_any_failure_of_the_module_is_shown(line: str, text: str) -> None:
    write("app4.py", line + "\n")
    assert text in refusal("app4:broker").splitlines()[-1]


def test_a_missing_attribute_comes_with_suggestions() -> None:
    write("app5.py", "my_broker = InMemoryBroker()\nsender = 1\n")
    text = refusal("app5:mybroker")
    assert (
        text == "Module 'app5' has no attribute 'mybroker'. Did you mean 'my_broker'? Brokers in that module: app5:my_broker."
    )
    assert refusal("app5:sender.x").startswith("An int in 'app5' has no attribute 'x'.")


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ("thing = 42", "'app6:thing' is an int, not a broker."),
        ("thing = InMemoryBroker", "'app6:thing' is the class InMemoryBroker, not a broker."),
        ("thing = None", "'app6:thing' is None, not a broker."),
        ("import os as thing", "'app6:thing' is the module os, not a broker."),
        ("def thing(): return 3", "'app6:thing' is an int, not a broker."),
        ("def thing(url): ...", "'app6:thing' is a function that cannot be called without arguments"),
        ("async def thing(): ...", "'app6:thing' is an async function"),
        ("def thing(): raise OSError('no disk')", "'app6:thing' failed:\n"),
        ("from taskiq_core.brokers.shared import async_shared_broker as thing", "'app6:thing' is the shared broker"),
    ],
)
def test_what_is_no_broker_is_named(line: str, text: str) -> None:
    write("app6.py", line + "\n")
    assert refusal("app6:thing").startswith(text)


def test_modules_are_imported_or_refused() -> None:
    write("more.py", "import sys\nsys.taskiq_test_imported = True\n")
    import_modules(["more"])
    assert sys.taskiq_test_imported  # type: ignore[attr-defined]
    with pytest.raises(ConfigurationError, match="'evenmore' was not found"):
        import_modules(["evenmore"])
