"""Sends that are part of a transaction of the caller's."""

from collections.abc import Awaitable, Callable, Generator, Mapping, Sequence
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from inspect import iscoroutine
from typing import Any, cast

from taskiq_core.callers_thread import CallersThread
from taskiq_core.exceptions import ConfigurationError, MessageRefusedError, SendTaskError
from taskiq_core.message import BrokerMessage

Enlist = Callable[[Any, Sequence[BrokerMessage]], Awaitable[None] | None]
"""Writes messages as part of the transaction of a connection: see `AsyncBroker.enlist`."""


class OpenTransaction:
    """A connection of the caller's, for as long as the block of `broker.within` lasts."""

    __slots__ = ("_connection", "_enlist", "broker", "ended")

    def __init__(self, broker: object, connection: Any, enlist: Enlist) -> None:
        self.broker = broker
        self.ended = False
        self._connection = connection
        self._enlist = enlist

    async def put(self, messages: Sequence[BrokerMessage]) -> None:
        """Write messages; they are sent when the caller commits. After `kiq_sync` that happens in the thread of the caller.

        :raises SendTaskError: for what the database says, and after the end of the block.
        :raises ConfigurationError: for a connection that will not do.
        """
        if self.ended:
            reason = (
                "the block of within() has ended in which this asyncio task or thread was started: send before the block ends, "
                "or start what sends later outside of it"
            )
            raise SendTaskError(reason=reason, outcome="refused")
        caller = _caller.get()
        if caller is not None:
            await caller.run(lambda: self._put_now(messages))
            return
        written = self._enlist(self._connection, messages)
        if written is not None:
            await written

    def _put_now(self, messages: Sequence[BrokerMessage]) -> None:
        written = self._enlist(self._connection, messages)
        if written is not None:
            if iscoroutine(written):
                written.close()
            reason = (
                f"{type(self._connection).__name__} belongs to an event loop, and kiq_sync() writes in the thread of its "
                "caller: use `await task.kiq(...)`, or give within() a synchronous connection."
            )
            raise ConfigurationError(reason=reason)


_open: ContextVar[tuple[OpenTransaction, ...]] = ContextVar("taskiq_transactions", default=())
_caller: ContextVar[CallersThread | None] = ContextVar("taskiq_callers_thread", default=None)


def transaction_of(broker: object) -> OpenTransaction | None:
    """What sends through `broker` are part of, here and now; the innermost block counts."""
    for found in reversed(_open.get()):
        if found.broker is broker:
            return found
    return None


@contextmanager
def sending_within(broker: object, connection: Any, enlist: Enlist) -> Generator[None]:
    """Make sends through `broker` part of the transaction of `connection`, in this block and what is started in it."""
    opened = OpenTransaction(broker, connection, enlist)
    token = _open.set((*_open.get(), opened))
    try:
        yield
    finally:
        opened.ended = True
        with suppress(ValueError):  # left in another context than it was entered in, as generators may be
            _open.reset(token)


@contextmanager
def served_by(caller: CallersThread) -> Generator[None]:
    """Have what is written to connections done in the thread of `caller`."""
    token = _caller.set(caller)
    try:
        yield
    finally:
        _caller.reset(token)


def driver_of(connection: Any, known: Mapping[str, str]) -> str | None:
    """Which of the packages in `known` a connection, or a base of its class, comes from.

    None too if its class lacks what the connections of that package have: it is a cursor then, a pool, or an engine.
    """
    kind: type[object] = type(cast("object", connection))
    packages = (base.__module__.partition(".")[0] for base in kind.__mro__)
    package = next((package for package in packages if package in known), None)
    return package if package is not None and hasattr(kind, known[package]) else None


def run_sync_of(connection: Any) -> Callable[..., Awaitable[None]]:
    """`run_sync` of what SQLAlchemy has for async code; a scoped session has it in the session that it stands for."""
    found: Callable[..., Awaitable[None]] = getattr(connection, "run_sync", None) or connection().run_sync
    return found


def connection_of(connection: Any) -> Any:
    """The connection of SQLAlchemy behind one of its sessions, or the connection itself."""
    is_session = callable(getattr(connection, "connection", None))
    return connection.connection() if is_session else connection


def require_known(kind: str | None, connection: Any, taken: str) -> None:
    """Refuse what `driver_of` does not know; `taken` says what is taken, as in "On SQLite within() takes ...".

    :raises ConfigurationError: then.
    """
    if kind is None:
        found = type(cast("object", connection))
        raise ConfigurationError(reason=f"{taken}, not {found.__module__}.{found.__qualname__}.")


def require_transaction(has_transaction: bool) -> None:
    """Refuse a connection that has none.

    :raises ConfigurationError: then.
    """
    if not has_transaction:
        reason = (
            "The connection given to within() has no transaction, and would commit each statement by itself: begin one, or "
            "send without within()."
        )
        raise ConfigurationError(reason=reason)


@contextmanager
def as_send_error(explain: Callable[[Exception], str]) -> Generator[None]:
    """Raise what goes wrong in the block, which writes messages, as `AsyncBroker.enlist` does.

    :param explain: the reason, from an error of the database or its driver; may raise `ConfigurationError` instead.
    """
    try:
        yield
    except ConfigurationError:
        raise
    except (TypeError, ValueError, ArithmeticError) as error:
        raise MessageRefusedError(reason=f"it cannot be stored: {error}") from error
    except Exception as error:
        raise SendTaskError(reason=explain(error), outcome="refused") from error
