"""The steps that Redis takes as one: Lua files, by name.

Each gets the root of our keys as its only declared key and makes the others from it; all have the root's hash tag, so that in a
cluster they live on one node.
"""

import hashlib
from collections.abc import Sequence
from importlib import resources

from taskiq_core_brokers_redis.packing import Argument, pack


class Script:
    """A Lua script: the prelude of a package, and more files of it, one after the other."""

    def __init__(self, *names: str, package: str = "taskiq_core_brokers_redis") -> None:
        folder = resources.files(package) / "lua"
        self.text = "\n".join((folder / f"{name}.lua").read_text(encoding="utf-8") for name in ("prelude", *names))
        self._head = ("EVALSHA", hashlib.sha1(self.text.encode(), usedforsecurity=False).hexdigest(), 1)

    def pack(self, root: str, arguments: Sequence[Argument]) -> bytes:
        """The command that runs it.

        :raises TypeError: for an argument that is neither text, bytes nor a number.
        """
        return pack((*self._head, root, *arguments))
