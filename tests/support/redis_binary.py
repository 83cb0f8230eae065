"""Where the server program of the Redis tests comes from: named, installed, or installed now."""

import fcntl
import os
import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path

import pytest

BINARY_VARIABLE = "TASKIQ_TEST_REDIS_SERVER"
"""Environment variable with the path of the `redis-server` or `valkey-server` to test with."""


def server_binary() -> Path:
    """The program to start. Installs the distribution's package if there is none and this is root on a Debian.

    Skips the test that asks, if no server can be had.
    """
    binary, reason = _find()
    if binary is None:
        pytest.skip(f"needs a server: {reason}")
    return binary


def cli_binary() -> Path:
    """The `redis-cli` or `valkey-cli` that came with the server, or that of the system."""
    server = server_binary()
    beside = server.with_name(server.name.replace("-server", "-cli"))
    found = beside if beside.exists() else _which("redis-cli", "valkey-cli")
    if found is None:
        pytest.skip("needs a server: there is no redis-cli to build a cluster with")
    return found


@cache
def _find() -> tuple[Path | None, str]:
    if named := os.environ.get(BINARY_VARIABLE):
        return (Path(named), "") if os.access(named, os.X_OK) else (None, f"{BINARY_VARIABLE}={named} is no program")
    if found := _which("redis-server", "valkey-server"):
        return found, ""
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        return None, "redis-server is not installed"
    # One process installs; the others wait for it, and find the program.
    with (Path(tempfile.gettempdir()) / "taskiq-test-redis-install.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        trouble = "" if _which("redis-server") else _install()
    return _which("redis-server"), f"redis-server could not be installed: {trouble}"


def _which(*names: str) -> Path | None:
    return next((Path(found) for name in names if (found := shutil.which(name))), None)


def _install() -> str:
    """Install the package, stop the service that it may have started, and return what went wrong."""
    env = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    service_was_there = Path("/etc/init.d/redis-server").exists()
    for arguments in (["update"], ["install", "-y", "--no-install-recommends", "redis-server"]):
        command = ["apt-get", "-q", "-o", "DPkg::Lock::Timeout=120", *arguments]
        done = subprocess.run(command, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
        # A mirror that fails to update does not matter as long as the package is found.
        if done.returncode != 0 and arguments[0] == "install":
            return f"{' '.join(command)}\n{done.stdout}{done.stderr}"
    if not service_was_there and shutil.which("service"):
        subprocess.run(["service", "redis-server", "stop"], stdin=subprocess.DEVNULL, capture_output=True, check=False)
    return ""
