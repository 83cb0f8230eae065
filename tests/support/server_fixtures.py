"""The fixtures that the tests of each kind of server have; they are named where they are made."""

from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, ExitStack
from typing import TypeVar

import pytest
from support.server_process import ServerProcess
from support.shared_server import shared_url

S = TypeVar("S", bound=ServerProcess)


def shared_url_of(kind: type[ServerProcess]):
    @pytest.fixture(scope="session")
    def url() -> str:
        """The URL of the shared server."""
        return shared_url(kind)

    return url


def name_within(names: Callable[[], AbstractContextManager[str]]):
    @pytest.fixture
    def name() -> Generator[str]:
        """A name for what this test keeps on the shared server; all that has it is deleted afterwards."""
        with names() as value:
            yield value

    return name


def starter_of(kind: type[S]):
    @pytest.fixture
    def start() -> Generator[Callable[..., S]]:
        """Starts private servers, with the arguments of their kind, that are gone after the test."""
        with ExitStack() as stack:
            yield lambda *config, **options: stack.enter_context(kind(*config, **options))

    return start
