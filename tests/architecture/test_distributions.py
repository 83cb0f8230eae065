"""The path is the name: folder, distribution, import package and entry point of a plugin all follow from one another."""

import tomllib
from pathlib import Path
from typing import Any

import pytest
from source_tree import ROOT, plugin_folders


def manifest(folder: Path) -> dict[str, Any]:
    return tomllib.loads((folder / "pyproject.toml").read_text())


ROOT_PROJECT = manifest(ROOT)["project"]


def distribution(folder: Path) -> str:
    """`brokers/sqlite` → `taskiq-core-brokers-sqlite`."""
    return f"taskiq-core-{folder.parent.name.replace('_', '-')}-{folder.name}"


@pytest.mark.parametrize("folder", plugin_folders(), ids=lambda p: f"{p.parent.name}/{p.name}")
def test_the_path_is_the_name(folder: Path) -> None:
    project, package = manifest(folder)["project"], distribution(folder).replace("-", "_")
    assert project["name"] == distribution(folder)
    assert (folder / package / "__init__.py").is_file()
    assert (folder / package / "py.typed").is_file()
    assert not (folder / "__init__.py").exists(), "a plugin's folder must never shadow its driver's package"
    target = project["entry-points"][f"taskiq_core.{folder.parent.name}"][folder.name]
    assert target.split(":")[0].split(".")[0] == package


@pytest.mark.parametrize("folder", plugin_folders(), ids=lambda p: f"{p.parent.name}/{p.name}")
def test_a_plugin_goes_with_the_core(folder: Path) -> None:
    project = manifest(folder)["project"]
    assert (project["version"], project["requires-python"], project["license"]) == (
        ROOT_PROJECT["version"],
        ROOT_PROJECT["requires-python"],
        ROOT_PROJECT["license"],
    )
    assert any(requirement.startswith("taskiq-core") for requirement in project["dependencies"])
    assert list(folder.glob("tests/test_contract*.py")), "every plugin passes the published contract suite"


def test_an_extra_pulls_every_distribution_of_its_server() -> None:
    servers = {folder.name for folder in plugin_folders()}
    for server in servers:
        of_server = {distribution(folder) for folder in plugin_folders() if folder.name == server}
        assert set(ROOT_PROJECT["optional-dependencies"][server]) == of_server


def test_the_top_level_is_fixed() -> None:
    fixed = {"pyproject.toml", "README.md", "LICENSE", "Makefile", "dist"} | {
        "taskiq_core", "brokers", "result_backends", "schedule_sources", "tests", "benchmarks", "docs"
    }  # fmt: skip
    assert {path.name for path in ROOT.iterdir() if not path.name.startswith(".")} <= fixed


def test_the_core_is_typed() -> None:
    assert (ROOT / "taskiq_core" / "py.typed").is_file()
