"""Processes that stop, and networks that swallow everything, in the middle of a transaction: others go on, calls end."""

import anyio
import asyncpg
import pytest
from support.postgres_servers import shared_postgres
from support.processes import DEADLINE
from support.tcp_proxy import TcpProxy

from taskiq_core.delivery import Verdict
from taskiq_core.exceptions import BrokerError
from taskiq_core.testing.broker_tools import bodies, collect, messages, settle
from taskiq_core_brokers_postgres import Database, PostgresBroker, parking
from taskiq_core_brokers_postgres.connecting import connect
from taskiq_core_brokers_postgres.database import in_schema

pytestmark = pytest.mark.anyio

_PATIENCE = 1.0


@pytest.fixture
async def broker(postgres_schema: str):
    async with PostgresBroker(
        shared_postgres().url, schema=postgres_schema, lease=10 * _PATIENCE, send_timeout=_PATIENCE / 0.6
    ) as broker:
        yield broker


@pytest.fixture
async def frozen(broker: PostgresBroker):
    """A connection as all are, whose process says nothing more since it took the lock of all lines."""
    connection = await connect(broker.location, 2 * _PATIENCE)
    await connection.execute("BEGIN")
    await connection.execute(in_schema(parking._LOCK, broker.location.schema))
    yield connection
    connection.terminate()


async def test_the_lock_of_a_frozen_process_is_freed_by_the_server(broker: PostgresBroker, frozen) -> None:
    with anyio.fail_after(DEADLINE):
        while True:
            try:
                assert await broker.admin.purge("default") == 0
            except BrokerError as error:
                assert "another connection holds what this needs locked" in str(error)
            else:
                break
    with pytest.raises((asyncpg.PostgresError, asyncpg.InterfaceError)):
        await frozen.execute("SELECT")


async def test_what_is_ready_is_claimed_while_the_lines_are_locked(broker: PostgresBroker) -> None:
    first, *others = messages(4)
    locked = await Database(broker.location, DEADLINE).connect()
    try:
        async with broker.subscribe(["default"]) as subscription:
            await broker.kick(first)
            held = await collect(subscription, 1)
            await settle(subscription, held, Verdict.RELEASE, park="line", delay=0.001)
            await locked.execute("BEGIN")
            await locked.execute(in_schema(parking._LOCK, broker.location.schema))
            await broker.kick_many(others)
            taken = await collect(subscription, 3)
            assert bodies(taken) == bodies(others)
            await locked.execute("COMMIT")
            woken = await collect(subscription, 1)
            assert bodies(woken) == bodies([first])
            await settle(subscription, [*taken, *woken])
    finally:
        locked.terminate()


@pytest.mark.parametrize("call", ["purge", "receive"])
async def test_a_transaction_in_a_black_hole_ends(broker: PostgresBroker, call: str) -> None:
    """It has begun, and waits for a lock, when nothing gets through any more; nor would a request to roll back."""
    port = int(broker.location.server.partition("/")[0].rpartition(":")[2])
    holder = await Database(broker.location, DEADLINE).connect()
    with TcpProxy(port) as proxy:
        url = shared_postgres().url.replace(f":{port}/", f":{proxy.port}/")
        beyond = PostgresBroker(url, schema=broker.location.schema, lease=10 * _PATIENCE, send_timeout=_PATIENCE / 0.6)
        async with beyond, beyond.subscribe(["default"]) as subscription:
            await broker.kick_many(messages(1))
            await settle(subscription, await collect(subscription, 1), Verdict.RELEASE, park="line", delay=0.001)
            await holder.execute("BEGIN")
            await holder.execute(in_schema(parking._LOCK, broker.location.schema))

            async def doomed() -> None:
                with pytest.raises(BrokerError, match="cannot be reached"):
                    if call == "purge":
                        await beyond.admin.purge("default")
                    else:
                        await subscription.receive(1)

            with anyio.fail_after(DEADLINE):
                async with anyio.create_task_group() as group:
                    group.start_soon(doomed)
                    while not await holder.fetchval(_WAITS, holder.get_server_pid()):
                        await anyio.sleep(0.01)
                    proxy.black_hole()
            holder.terminate()
            proxy.resume()
            with anyio.fail_after(DEADLINE):
                while True:
                    try:
                        assert len(await collect(subscription, 1)) == 1
                    except BrokerError:
                        continue
                    break


_WAITS = "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE $1 = ANY (pg_blocking_pids(pid)))"


async def test_a_pooler_is_told_nothing_that_it_does_not_know(broker: PostgresBroker) -> None:
    """PgBouncer knows these of a connection's first message, and refuses others."""
    rows = await broker._database.fetch("SELECT name FROM pg_settings WHERE source = 'client'")
    assert {row[0] for row in rows} <= {"application_name", "client_encoding"}
    ((seconds,),) = await broker._database.fetch("SELECT current_setting('idle_in_transaction_session_timeout')")
    assert seconds == f"{_PATIENCE:g}s"
