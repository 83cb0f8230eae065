"""The main job on real input, as `make demo` runs it."""

from pathlib import Path

import pytest
from support.processes import running

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"


@pytest.mark.slow
def test_the_census_counts_every_module_once_although_a_worker_is_killed(tmp_path: Path) -> None:
    with running("python", "-m", "stdlib_census", cwd=tmp_path, env={"PYTHONPATH": str(EXAMPLES)}) as census:
        census.wait_for_line("killed with SIGKILL", timeout=120)
        assert census.wait(120) == 0, census.output
        assert "Every module was counted exactly once." in census.output


def test_a_census_without_workers_fails(tmp_path: Path) -> None:
    env = {"PYTHONPATH": str(EXAMPLES), "TASKIQ_WORKER_LOG_LEVEL": "nonsense"}
    with running("python", "-m", "stdlib_census", cwd=tmp_path, env=env) as census:
        assert census.wait(120) == 1, census.output
        assert "the workers ended with code 2" in census.output
