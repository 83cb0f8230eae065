"""Applications in modules of their own, for tests with processes that must import them."""

import importlib
import os
import sys
import textwrap
import time
from pathlib import Path
from types import ModuleType

import pytest

from taskiq_core.broker import AnyTask

HEAD = "import os, signal, sys, time\nfrom pathlib import Path\nfrom taskiq_core import InMemoryBroker, TaskiqEvents\n"


def write_module(folder: Path, name: str, source: str) -> None:
    """Write a module that other processes can import if `folder` is on their path."""
    (folder / f"{name}.py").write_text(HEAD + textwrap.dedent(source))


def import_application(folder: Path, monkeypatch: pytest.MonkeyPatch, source: str, name: str = "sandboxed_app") -> ModuleType:
    """Write a module and import it; both are gone after the test."""
    write_module(folder, name, source)
    monkeypatch.syspath_prepend(folder)
    monkeypatch.delitem(sys.modules, name, raising=False)
    module = importlib.import_module(name)
    monkeypatch.setitem(sys.modules, name, module)
    return module


def body_for(task: AnyTask, *args: object) -> bytes:
    """A message as a worker receives it."""
    return task.broker.formatter.dumps(task.kicker()._prepare_message(*args)).message


def wait_gone(pid: int, timeout: float = 10.0) -> None:
    """Wait until a process has ended; a zombie has."""
    deadline = time.monotonic() + timeout
    while is_running(pid):
        assert time.monotonic() < deadline, f"process {pid} still runs"
        time.sleep(0.01)


def is_running(pid: int) -> bool:
    """False for a zombie too."""
    try:
        if Path("/proc/self/stat").exists():
            return Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()[0] != "Z"
        os.kill(pid, 0)
    except OSError:
        return False
    return True
