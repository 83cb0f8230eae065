"""Sends within a transaction: what belongs to the block, what is refused, and in which thread statements run."""

import asyncio
import sqlite3
import threading
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from taskiq_core import InMemoryBroker, TaskiqMiddleware, Unique
from taskiq_core.exceptions import ConfigurationError, SendTaskError, UnsupportedOptionError
from taskiq_core.testing import taskiq_test
from taskiq_core_brokers_sqlite import SQLiteBroker
from taskiq_core_result_backends_sqlite import SQLiteResultBackend

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def broker(tmp_path: Path) -> AsyncGenerator[SQLiteBroker]:
    path = tmp_path / "app.db"
    async with SQLiteBroker(path).with_result_backend(SQLiteResultBackend(path)) as broker:
        yield broker


@pytest.fixture
async def connection(broker: SQLiteBroker) -> AsyncGenerator[sqlite3.Connection]:
    connection = sqlite3.connect(broker.path)
    yield connection
    connection.close()


async def ready(broker: SQLiteBroker) -> int:
    return (await broker.admin.depth("default")).ready


async def test_only_this_broker_and_only_this_block(broker: SQLiteBroker, connection, tmp_path: Path) -> None:
    @broker.task
    async def note() -> None: ...

    async with SQLiteBroker(tmp_path / "other.db") as other:
        with broker.within(connection):
            assert (await note.kiq()).outcome == "pending"
            assert (await note.kicker().with_broker(other).kiq()).outcome == "queued"
        assert await ready(other) == 1
        connection.rollback()
        assert (await note.kiq()).outcome == "queued"
        assert await ready(broker) == 1


async def test_the_innermost_block_counts(broker: SQLiteBroker, connection) -> None:
    @broker.task
    async def note() -> None: ...

    audit = sqlite3.connect(broker.path)
    with broker.within(connection):
        with audit, broker.within(audit):
            await note.kiq()
        await note.kiq()
    connection.rollback()
    assert await ready(broker) == 1
    audit.close()


async def test_what_a_block_has_started_cannot_send_after_it(broker: SQLiteBroker, connection) -> None:
    @broker.task
    async def note() -> None: ...

    go_on = asyncio.Event()

    async def later() -> None:
        await go_on.wait()
        await note.kiq()

    with broker.within(connection):
        await asyncio.gather(note.kiq(), note.kiq())
        started = asyncio.create_task(later())
    connection.commit()
    go_on.set()
    with pytest.raises(SendTaskError, match="has ended") as caught:
        await started
    assert caught.value.outcome == "refused"
    assert await ready(broker) == 2


async def test_a_broker_that_is_no_database_says_what_to_do() -> None:
    with pytest.raises(UnsupportedOptionError, match=r"with_outbox\(PostgresBroker\(\.\.\.\)\)"):
        with InMemoryBroker().within(object()):
            pytest.fail("it is not entered")
    with pytest.raises(ConfigurationError, match="InMemoryBroker has no transactions: an outbox is"):
        InMemoryBroker().with_outbox(InMemoryBroker())


async def test_a_broker_is_not_its_own_outbox(broker: SQLiteBroker) -> None:
    with pytest.raises(ConfigurationError, match="needs no outbox"):
        broker.with_outbox(broker)


async def test_what_claims_a_place_is_refused(broker: SQLiteBroker, connection) -> None:
    @broker.task(unique=Unique())
    async def report() -> None: ...

    @broker.task
    async def note() -> None: ...

    with broker.within(connection):
        for kicker, option in (
            (report.kicker(), r"Unique\(\.\.\.\)"),
            (note.kicker().with_idempotency_key("a"), r"with_idempotency_key\(\.\.\.\)"),
        ):
            with pytest.raises(ConfigurationError, match=f"{option} claims its place at once"):
                await kicker.kiq()
        await note.kicker().with_task_id("one").kiq()
        await note.kicker().with_task_id("one").kiq()
    connection.commit()
    assert await ready(broker) == 1
    assert (await report.kiq()).outcome == "queued"


async def test_hooks_run_in_the_loop_and_statements_in_the_thread(broker: SQLiteBroker) -> None:
    places: dict[str, int] = {}

    class Watching(TaskiqMiddleware):
        async def pre_send(self, message):
            places["hook"] = threading.get_ident()
            message.labels["seen"] = "yes"
            return message

    class Watched(sqlite3.Connection):
        def execute(self, *statement):
            places["statement"] = threading.get_ident()
            return super().execute(*statement)

    broker.with_middlewares(Watching())

    @broker.task
    async def note() -> None: ...

    def send() -> int:
        with sqlite3.connect(broker.path, factory=Watched) as connection, broker.within(connection):
            note.kiq_sync()
        return threading.get_ident()

    thread = await asyncio.to_thread(send)
    assert places == {"hook": threading.get_ident(), "statement": thread}
    assert await ready(broker) == 1


async def test_a_hook_that_fails_in_synchronous_code(broker: SQLiteBroker) -> None:
    class Failing(TaskiqMiddleware):
        def pre_send(self, message):
            raise ZeroDivisionError

    broker.with_middlewares(Failing())

    @broker.task
    async def note() -> None: ...

    def send() -> None:
        with sqlite3.connect(broker.path) as connection, broker.within(connection):
            note.kiq_sync()

    with pytest.raises(ZeroDivisionError):
        await asyncio.to_thread(send)
    assert await ready(broker) == 0


async def test_applications_under_test_send_at_once(tmp_path: Path) -> None:
    for broker in (SQLiteBroker(tmp_path / "a.db"), InMemoryBroker().with_outbox(SQLiteBroker(tmp_path / "b.db"))):

        @broker.task(task_name="double")
        async def double(number: int) -> int:
            return 2 * number

        async with taskiq_test(broker) as test:
            with broker.within(object()):
                await double.kiq(21)
            await test.run()
            assert len(test.sent(double, 21)) == 1
    assert list(tmp_path.iterdir()) == []
