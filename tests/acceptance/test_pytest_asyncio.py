"""The pytest plugin beside pytest-asyncio: the fixture lives in the event loop of the test, whoever runs that."""

import subprocess
import sys
from pathlib import Path

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


@pytest.mark.parametrize(
    ("mark", "mode", "outcome"),
    [
        ("pytest.mark.asyncio", "strict", "2 passed"),
        ("pytest.mark.asyncio(loop_scope='module')", "strict", "2 passed"),
        ("pytest.mark.anyio", "strict", "4 passed"),
        ("[]", "strict", "mark the test with pytest.mark.anyio, or .asyncio"),
        ("[]", "auto", "2 passed"),
        ("pytest.mark.asyncio(loop_scope='session')", "auto", "2 passed"),
        ("pytest.mark.anyio", "auto", "Both anyio and pytest-asyncio want to run this test"),
    ],
)
def test_each_combination_works_or_says_what_to_do(tmp_path: Path, mark: str, mode: str, outcome: str) -> None:
    (tmp_path / "application.py").write_text(APPLICATION)
    (tmp_path / "test_it.py").write_text(TEST.format(mark=mark))
    settings = f"[pytest]\ntaskiq_broker = application:broker\npythonpath = .\nasyncio_mode = {mode}\n"
    (tmp_path / "pytest.ini").write_text(settings)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert outcome in ended.stdout, ended.stdout + ended.stderr
