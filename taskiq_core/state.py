"""What start-up events leave for tasks to use."""

from collections import UserDict
from typing import Any


class TaskiqState(UserDict[str, Any]):
    """A dict whose keys are attributes too.

    :raises AttributeError: for an attribute nobody has set.
    """

    def __init__(self) -> None:
        self.__dict__["data"] = {}

    def __getattr__(self, name: str) -> Any:
        try:
            return self.__dict__["data"][name]
        except KeyError:
            msg = f"Nobody has set {name!r} on the state; it is usually set in a WORKER_STARTUP handler."
            raise AttributeError(msg) from None

    def __setattr__(self, name: str, value: Any) -> None:
        self[name] = value

    def __delattr__(self, name: str) -> None:
        try:
            del self[name]
        except KeyError:
            raise AttributeError(name) from None
