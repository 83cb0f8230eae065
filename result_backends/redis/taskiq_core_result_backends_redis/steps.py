"""What Redis does in one step, and times as it takes them."""

import math
from typing import Any

from taskiq_core.exceptions import ResultBackendError
from taskiq_core.server_results import as_result_error
from taskiq_core_brokers_redis.packing import Argument
from taskiq_core_brokers_redis.scripts import Script
from taskiq_core_result_backends_redis.stored import OnRedis

_LONGEST = 1e9
"""Seconds, some thirty years: so long lives what is to live for ever, as Redis knows no infinite time to live."""


def step(*names: str) -> Script:
    """The script made of the prelude and these files of lua/."""
    return Script(*names, package=__package__ or "")


async def take_step(backend: OnRedis, script: Script, *arguments: Argument) -> Any:
    """Run a script on the backend's keys.

    :raises ResultBackendError: if Redis cannot be reached or refuses; after a lost answer the step may have been taken.
    """
    with as_result_error(ResultBackendError):
        return await backend.require_commands().run(script, backend.location.root, *arguments)


def milliseconds(seconds: float) -> int:
    """Never less than was asked for, and at least 1."""
    return max(1, math.ceil(min(seconds, _LONGEST) * 1000))
