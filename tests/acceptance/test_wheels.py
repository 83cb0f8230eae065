"""Every distribution can be built, and what was built works without this repository."""

import sys
import zipfile
from pathlib import Path

import pytest
from support.processes import running

ROOT = Path(__file__).parents[2]
FOLDERS = [
    ROOT,
    *sorted(
        path.parent
        for kind in ("brokers", "result_backends", "schedule_sources")
        for path in ROOT.glob(f"{kind}/*/pyproject.toml")
    ),
]
LOAD_BROKERS = """
from importlib.metadata import entry_points
print(*(found.load().__name__ for found in entry_points(group="taskiq_core.brokers")))
"""


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    target = tmp_path_factory.mktemp("wheels")
    for folder in FOLDERS:
        with running("python", "-m", "hatchling", "build", "-t", "wheel", "-d", target, cwd=folder) as build:
            assert build.wait(120) == 0, build.output
    return sorted(target.iterdir())


def test_there_is_one_wheel_for_each_distribution(wheels: list[Path]) -> None:
    assert len(wheels) == len(FOLDERS)


def test_a_wheel_holds_its_typed_package_and_nothing_else(wheels: list[Path]) -> None:
    for wheel in wheels:
        names = zipfile.ZipFile(wheel).namelist()
        package = wheel.name.partition("-")[0]
        assert {name.partition("/")[0].partition("-")[0] for name in names} == {package}
        assert f"{package}/py.typed" in names
        assert [name for name in names if name.endswith("/licenses/LICENSE")], "a wheel without its licence"
        assert not [name for name in names if "/tests/" in name]


def test_wheels_work_without_the_repository(wheels: list[Path], tmp_path: Path) -> None:
    for wheel in wheels:
        zipfile.ZipFile(wheel).extractall(tmp_path)
    with running(sys.executable, "-c", LOAD_BROKERS, cwd=tmp_path, env={"PYTHONPATH": str(tmp_path)}) as program:
        assert program.wait() == 0, program.output
        assert "SQLiteBroker" in program.output
