"""Servers that outlive a story, as some take longer to start than a story takes: the next one finds them empty."""

import atexit
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import TypeVar

from support.server_process import ServerProcess

S = TypeVar("S", bound=ServerProcess)

_idle: dict[type[ServerProcess], list[ServerProcess]] = defaultdict(list)
_until_exit = ExitStack()
atexit.register(_until_exit.close)


@contextmanager
def kept(kind: type[S], empty: Callable[[S], object]) -> Iterator[S]:
    """An empty server that nobody else has for the length of the block, with the settings of its kind.

    Clients may be left behind, and it may be killed in between. If it does not run at the end, the next one is another.
    """
    found = _idle[kind].pop() if _idle[kind] else _until_exit.enter_context(kind())
    assert isinstance(found, kind)
    yield found
    if found.serves:
        empty(found)
        _idle[kind].append(found)
    else:
        found.close()
