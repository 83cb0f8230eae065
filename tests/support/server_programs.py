"""Where the servers of the tests come from: named, installed, or installed now."""

import fcntl
import os
import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest


@dataclass(frozen=True)
class ServerProgram:
    """A program that starts a server, under the first of its `names` that is found."""

    names: tuple[str, ...]
    package: str
    """The Debian package with the program."""
    variable: str
    """Environment variable with the path of the program to test with, or of the directory that it is in."""
    folders: str = ""
    """Where packages keep it off the PATH: a pattern below `/`; the highest version is taken, before the PATH's."""

    def path(self) -> Path:
        """The program to start. Installs the distribution's package if there is none and this is root on a Debian.

        Skips the test that asks, if no server can be had.
        """
        found, reason = _find(self)
        if found is None:
            pytest.skip(f"needs a server: {reason}")
        return found

    def beside(self, *names: str) -> Path:
        """A program that came with it, or else that of the system. Skips the test that asks, if there is none."""
        folder = self.path().parent
        if found := _first(folder, names) or _on_path(names):
            return found
        pytest.skip(f"needs a server: there is no {names[0]} beside {self.names[0]}")


REDIS = ServerProgram(("redis-server", "valkey-server"), "redis-server", "TASKIQ_TEST_REDIS_SERVER")
POSTGRES = ServerProgram(("postgres",), "postgresql", "TASKIQ_TEST_POSTGRES_BIN", "usr/lib/postgresql/*/bin")
# Debian's rabbitmq-server on the PATH changes the user and the directory; this one does neither.
RABBITMQ = ServerProgram(("rabbitmq-server",), "rabbitmq-server", "TASKIQ_TEST_RABBITMQ_SERVER", "usr/lib/rabbitmq/bin")
NATS = ServerProgram(("nats-server",), "nats-server", "TASKIQ_TEST_NATS_SERVER")


@cache
def _find(program: ServerProgram) -> tuple[Path | None, str]:
    name = program.names[0]
    if named := os.environ.get(program.variable):
        place = Path(named)
        found = _first(place, program.names) if place.is_dir() else place
        usable = found is not None and os.access(found, os.X_OK)
        return (found, "") if usable else (None, f"{program.variable}={named} is no program")
    way_out = f"install the package {program.package}, or name the program in {program.variable}"
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        return _installed(program), f"{name} is not installed; {way_out}"
    # One process installs, whatever it is: apt waits for another's dpkg, but not for its list of packages. The others wait
    # until it is done, as a program that is found may be half installed.
    with (Path(tempfile.gettempdir()) / "taskiq-test-install.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        trouble = "" if _installed(program) else _install(program.package)
        return _installed(program), f"{name} could not be installed: {trouble}; {way_out}"


def _installed(program: ServerProgram) -> Path | None:
    folders = Path("/").glob(program.folders) if program.folders else ()
    newest_first = sorted(folders, key=lambda folder: [int(part) for part in re.findall(r"\d+", str(folder))], reverse=True)
    return next((found for folder in newest_first if (found := _first(folder, program.names))), None) or _on_path(program.names)


def _first(folder: Path, names: tuple[str, ...]) -> Path | None:
    return next((folder / name for name in names if (folder / name).exists()), None)


def _on_path(names: tuple[str, ...]) -> Path | None:
    return next((Path(found) for name in names if (found := shutil.which(name))), None)


def _install(package: str) -> str:
    """Install the package, stop the service that it may have started, and return what went wrong, as one line."""
    env = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    service = Path("/etc/init.d") / package
    service_was_there = service.exists()
    for arguments in (["update"], ["install", "-y", "--no-install-recommends", package]):
        command = ["apt-get", "-q", "-o", "DPkg::Lock::Timeout=120", *arguments]
        done = subprocess.run(command, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
        # A mirror that fails to update does not matter as long as the package is found.
        if done.returncode != 0 and arguments[0] == "install":
            return " ".join(line for line in done.stderr.splitlines() if line.startswith("E: ")) or f"code {done.returncode}"
    if not service_was_there and service.exists() and shutil.which("service"):
        subprocess.run(["service", package, "stop"], stdin=subprocess.DEVNULL, capture_output=True, check=False)
    return ""
