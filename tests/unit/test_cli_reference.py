"""Where APP comes from."""

from pathlib import Path

import pytest

from taskiq_core.cli.reference import find_reference
from taskiq_core.exceptions import ConfigurationError


@pytest.fixture(autouse=True)
def empty_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TASKIQ_APP", raising=False)
    return tmp_path


def test_the_first_argument_with_a_colon_is_the_application() -> None:
    assert find_reference(["app:broker", "tasks.mail", "tasks.web"]) == ("app:broker", ("tasks.mail", "tasks.web"))


def test_the_environment_names_it_and_arguments_are_modules(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TASKIQ_APP", "app:broker")
    assert find_reference(["tasks.mail"]) == ("app:broker", ("tasks.mail",))
    assert find_reference(["other:broker"]) == ("other:broker", ())


def test_pyproject_names_it(empty_place: Path) -> None:
    (empty_place / "pyproject.toml").write_text('[tool.taskiq]\napp = "app:broker.sub"\n')
    assert find_reference([]) == ("app:broker.sub", ())


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ([], "No application given"),
        (["app"], "for instance app:broker"),
        ([":broker"], "module:attribute"),
        (["app:"], "for instance app:broker"),
        (["./src/app.py:make"], "src.app:make"),
        (["app.py"], "app:broker"),
    ],
)
def test_what_names_no_application_is_explained(arguments: list[str], text: str) -> None:
    with pytest.raises(ConfigurationError, match=text):
        find_reference(arguments)


@pytest.mark.parametrize(("content", "text"), [("[tool", "cannot be read"), ("[tool.taskiq]\napp = 3\n", "must be a string")])
def test_a_wrong_pyproject_is_explained(empty_place: Path, content: str, text: str) -> None:
    (empty_place / "pyproject.toml").write_text(content)
    with pytest.raises(ConfigurationError, match=text):
        find_reference([])
