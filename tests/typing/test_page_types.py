"""What a type checker makes of the programs on the pages: nothing to complain about."""

import subprocess
import sys
from pathlib import Path

import pytest
from support.pages import ROOT, blocks_of

NAMES = (
    "batches",
    "callbacks_and_events",
    "cancelling",
    "dead_letters",
    "delays_priorities_queues",
    "limits",
    "unique_tasks",
)


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What is known of the library after the first page."""
    return tmp_path_factory.mktemp("mypy")


@pytest.mark.parametrize("name", NAMES)
def test_a_strict_checker_takes_the_page(name: str, cache: Path, tmp_path: Path) -> None:
    for block in blocks_of(ROOT / "docs" / "how-to" / f"{name}.md"):
        if block.title and block.title.endswith(".py"):
            target = tmp_path / block.title
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(block.text)
    command = [sys.executable, "-m", "mypy", "--strict", "--cache-dir", str(cache), "."]
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
