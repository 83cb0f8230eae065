"""The directory of flight recorders."""

import fcntl
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from taskiq_core.cli.run_directory import RunDirectory


@pytest.fixture(autouse=True)
def own_temp_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    yield tmp_path


def abandon(directory: RunDirectory) -> None:
    """What the kernel does for a supervisor that is killed."""
    assert directory._lock is not None
    os.close(directory._lock)
    directory._lock = None


def test_it_is_private() -> None:
    directory = RunDirectory.create("app:broker")
    assert [path.stat().st_mode & 0o777 for path in (directory.path, *directory.path.parents[:2])] == [0o700] * 3


def test_a_place_that_others_can_write_to_is_refused(own_temp_dir: Path) -> None:
    planted = own_temp_dir / f"taskiq-{os.getuid()}"
    planted.mkdir()
    planted.chmod(0o777)
    with pytest.raises(PermissionError, match="not a private directory"):
        RunDirectory.create("app:broker")


def test_a_link_in_its_place_is_refused(own_temp_dir: Path) -> None:
    (own_temp_dir / "elsewhere").mkdir(mode=0o700)
    (own_temp_dir / f"taskiq-{os.getuid()}").symlink_to(own_temp_dir / "elsewhere")
    with pytest.raises(PermissionError):
        RunDirectory.create("app:broker")


def test_close_leaves_nothing_but_recorders_that_are_to_be_read() -> None:
    empty, full = RunDirectory.create("app:broker"), RunDirectory.create("app:broker")
    full.new_recorder().touch()
    empty.close()
    full.close()
    assert not empty.path.exists()
    assert full.path.exists()


def test_what_the_dead_left_is_adopted_by_one() -> None:
    dead = RunDirectory.create("app:broker")
    dead.new_recorder().write_text("who ran")
    abandon(dead)
    first, second = RunDirectory.create("app:broker"), RunDirectory.create("app:broker")
    (adopted,) = first.adopt()
    assert adopted.read_text() == "who ran"
    assert adopted.parent == first.path
    assert adopted != first.new_recorder()
    assert second.adopt() == []
    assert not dead.path.exists()


def test_the_living_are_left_alone() -> None:
    living, dead = RunDirectory.create("app:broker"), RunDirectory.create("app:broker")
    living.new_recorder().touch()
    draining = dead.new_recorder()
    abandon(dead)
    with draining.open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        assert RunDirectory.create("app:broker").adopt() == []
    assert draining.exists()
    assert RunDirectory.create("app:broker").adopt() != []


def test_other_applications_and_other_places_are_none_of_our_business(
    own_temp_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dead = RunDirectory.create("app:broker")
    dead.new_recorder().touch()
    abandon(dead)
    assert RunDirectory.create("other:broker").adopt() == []
    (own_temp_dir / "elsewhere").mkdir()
    monkeypatch.chdir(own_temp_dir / "elsewhere")
    assert RunDirectory.create("app:broker").adopt() == []
