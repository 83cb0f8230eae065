"""Sends within an application's transaction, by connections of every kind."""

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine

from taskiq_core import call
from taskiq_core.testing.broker_tools import whats_there

Opened = tuple[Any, Callable[[], Awaitable[None]], Callable[[], Awaitable[None]]]
"""A connection, and how it commits and rolls back."""


@asynccontextmanager
async def by_session(url: str) -> AsyncGenerator[Opened]:
    """A session of SQLAlchemy's."""
    engine = create_async_engine(url)
    async with AsyncSession(engine) as session:
        yield session, session.commit, session.rollback
    await engine.dispose()


@asynccontextmanager
async def by_core(url: str) -> AsyncGenerator[Opened]:
    """A connection of SQLAlchemy's."""
    engine = create_async_engine(url)
    async with engine.connect() as connection:
        yield connection, connection.commit, connection.rollback
    await engine.dispose()


async def ids_in(broker: Any) -> list[str]:
    """Of the tasks in the queue `orders`, which is empty then."""
    return sorted(broker.formatter.loads(item.body).task_id for item in await whats_there(broker, ["orders"]))


async def assert_only_what_is_committed_is_sent(broker: Any, task: Any, opened: AbstractAsyncContextManager[Opened]) -> None:
    """`task` goes to the queue `orders`."""
    async with opened as (connection, commit, rollback):
        with broker.within(connection):
            await task.kiq_many([call(1), call(2)])
        await rollback()
        with broker.within(connection):
            sent = await task.kiq_many([call(3), call(4)])
        await commit()
        sent.append(await task.kiq(5))
    assert await ids_in(broker) == sorted(handle.task_id for handle in sent)
