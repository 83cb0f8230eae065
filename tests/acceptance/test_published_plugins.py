"""A plugin that was written for Taskiq, as published, runs unchanged on the alias."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

PIPELINE = """
import taskiq_core.taskiq_alias
taskiq_core.taskiq_alias.install()
import anyio
from taskiq import InMemoryBroker
from taskiq_pipelines import Pipeline, PipelineMiddleware

broker = InMemoryBroker().with_middlewares(PipelineMiddleware())

@broker.task
def add_one(value: int) -> int:
    return value + 1

@broker.task
async def repeat(value: int, times: int) -> list[int]:
    return [value] * times

@broker.task
def is_three(value: int) -> bool:
    return value == 3

async def main():
    async with broker:
        pipeline = Pipeline(broker, add_one).call_next(repeat, times=4).map(add_one).filter(is_three)
        handle = await pipeline.kiq(1)
        print((await handle.wait_result(timeout=30)).return_value)

anyio.run(main)
"""


@pytest.fixture(scope="module")
def plugins(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the plugin alone: the package that it was written for is not installed."""
    folder = tmp_path_factory.mktemp("plugins")
    command = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--no-deps",
        "--target",
        str(folder),
        "taskiq-pipelines==0.1.4",
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    if done.returncode:
        pytest.skip("the plugin cannot be downloaded: " + done.stderr.strip()[-200:])
    return folder


def test_a_pipeline_runs_through_the_real_worker(plugins: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(plugins)}
    done = subprocess.run(
        [sys.executable, "-c", PIPELINE], capture_output=True, text=True, timeout=60, check=False, env=environment
    )
    assert done.stdout == "[3, 3, 3, 3]\n", done.stderr
