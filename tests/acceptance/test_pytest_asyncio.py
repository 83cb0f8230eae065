"""The pytest plugin beside pytest-asyncio: the fixture lives in the event loop of the test, whoever runs that."""

import os
import subprocess
import sys
from collections.abc import Callable
from functools import cache

import pytest

APPLICATION = """
from taskiq_core import InMemoryBroker

broker = InMemoryBroker()


@broker.task
async def add(one: int, other: int) -> int:
    return one + other
"""

TEST = """
import pytest
from application import add

pytestmark = {mark}


async def test_first(taskiq):
    assert await (await add.kicker().with_delay(86400).kiq(1, 2)) == 3


async def test_second(taskiq):
    assert await (await add.kiq(1, 2)) == 3
"""

MARKS = {
    "asyncio": "pytest.mark.asyncio",
    "module": "pytest.mark.asyncio(loop_scope='module')",
    "session": "pytest.mark.asyncio(loop_scope='session')",
    "anyio": "pytest.mark.anyio",
    "bare": "[]",
}
SAYS_WHAT_TO_DO = {
    ("bare", "strict"): "mark the test with pytest.mark.anyio, or .asyncio",
    ("anyio", "auto"): "Both anyio and pytest-asyncio want to run this test",
}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], list[str]]:
    """What pytest says in the end of each test, in a project with a file for each mark, in one of pytest-asyncio's modes."""

    @cache
    def run(mode: str) -> list[str]:
        project = tmp_path_factory.mktemp(mode)
        (project / "application.py").write_text(APPLICATION)
        for name, mark in MARKS.items():
            (project / f"test_{name}.py").write_text(TEST.format(mark=mark))
        settings = f"[pytest]\ntaskiq_broker = application:broker\npythonpath = .\nasyncio_mode = {mode}\n"
        (project / "pytest.ini").write_text(settings)
        command = [sys.executable, "-m", "pytest", "-q", "-rA", "--tb=no", "-p", "no:cacheprovider"]
        env = {**os.environ, "COLUMNS": "1000", "PYTEST_ADDOPTS": ""}
        return subprocess.run(command, cwd=project, env=env, capture_output=True, text=True, timeout=120).stdout.splitlines()

    return run


@pytest.mark.parametrize("mode", ["strict", "auto"])
@pytest.mark.parametrize("mark", MARKS)
def test_each_combination_works_or_says_what_to_do(run: Callable[[str], list[str]], mark: str, mode: str) -> None:
    lines = [line for line in run(mode) if f" test_{mark}.py::" in line]
    sentence = SAYS_WHAT_TO_DO.get((mark, mode))
    assert len(lines) == (4 if mark == "anyio" else 2), "\n".join(run(mode))
    assert all(line.startswith("PASSED ") if sentence is None else sentence in line for line in lines), "\n".join(lines)
