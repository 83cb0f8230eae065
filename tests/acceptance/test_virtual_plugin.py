"""The pytest plugin, as a project with an application meets it."""

import subprocess
import sys
from pathlib import Path

import pytest

APPLICATION = """
from taskiq_core import Retry, broker_from_url

broker = broker_from_url("redis://no-such-host:1/0")
ran = []


@broker.task(retry=Retry(2, delay=3600))
async def mail(to: str) -> None:
    ran.append(to)
    if len(ran) < 3:
        raise ConnectionError
"""

TESTS = """
from datetime import datetime, timedelta

import pytest
from application import broker, mail, ran

pytestmark = [pytest.mark.anyio, pytest.mark.taskiq(start=datetime(2030, 1, 1))]


async def test_fixture(taskiq):
    ran.clear()
    begin = taskiq.now
    await mail.kiq("ada")
    await taskiq.drain()
    assert (len(ran), taskiq.now - begin) == (3, timedelta(hours=2))
    assert taskiq.sent(mail, to="ada")


@pytest.mark.taskiq(workers=0)
async def test_marker_and_factory(taskiq_test):
    async with taskiq_test(broker) as t:
        assert t.now.year == 2030
        with pytest.raises(RuntimeError, match="no worker"):
            await mail.kiq("ada")
            await t.drain()


async def test_failure(taskiq):
    await mail.kiq("ada")
    assert taskiq.sent(mail, to="eve")
"""

UNRELATED = """
import sys


def test_nothing_was_imported():
    assert "taskiq_core.pytest_plugin" in sys.modules
    assert not {"taskiq_core.broker", "pydantic"} & sys.modules.keys()
"""


def run(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pytest", "--strict-markers", "-q", "-rN", *options]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120, check=False)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "application.py").write_text(APPLICATION)
    (tmp_path / "test_application.py").write_text(TESTS)
    (tmp_path / "pytest.ini").write_text("[pytest]\ntaskiq_broker = application:broker\npythonpath = .\n")
    return tmp_path


def test_fixtures_marker_and_the_text_of_a_failed_assertion(project: Path) -> None:
    ended = run(project)
    assert "2 failed, 4 passed" in ended.stdout, ended.stdout
    assert "no send of mail(to='eve'); sent: mail(to='ada')" in ended.stdout


def test_without_a_broker_it_says_what_to_write(project: Path) -> None:
    (project / "pytest.ini").write_text("[pytest]\npythonpath = .\n")
    ended = run(project, "-k", "fixture")
    assert "Say `taskiq_broker = module:name` in pytest's configuration" in ended.stdout


def test_a_project_that_does_not_use_it_pays_nothing(tmp_path: Path) -> None:
    (tmp_path / "test_unrelated.py").write_text(UNRELATED)
    ended = run(tmp_path)
    assert ended.returncode == 0, ended.stdout
