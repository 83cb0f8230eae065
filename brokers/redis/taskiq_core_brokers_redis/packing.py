"""Commands to bytes, by hiredis."""

from collections.abc import Callable
from typing import Any, cast

import hiredis

Argument = str | bytes | int | float

pack = cast("Callable[[tuple[Argument, ...]], bytes]", cast("Any", hiredis).pack_command)
"""The bytes of one command; raises TypeError for an argument that is neither text, bytes nor a number."""
