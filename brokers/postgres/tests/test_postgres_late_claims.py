"""Claims that commit when their consumer is buried already, and held messages that nobody has a lease for."""

import anyio
import pytest
from support.postgres_servers import shared_postgres
from support.processes import DEADLINE

from taskiq_core.testing.broker_tools import bodies, collect, messages, settle, whats_there
from taskiq_core_brokers_postgres import Database, PostgresBroker
from taskiq_core_brokers_postgres.connecting import connect

pytestmark = pytest.mark.anyio

_WAITS = "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE $1 = ANY (pg_blocking_pids(pid)))"


@pytest.fixture
async def broker(postgres_schema: str):
    async with PostgresBroker(shared_postgres().url, schema=postgres_schema, lease=1.0) as broker:
        yield broker


class LateDatabase(Database):
    """Its statements are of one transaction, which the test ends."""

    async def fetch(self, statement, *arguments):
        return await self.late.fetch(self.named(statement), *arguments)


async def late_claim(dead, broker: PostgresBroker):
    """What the server carries out for a process that has died, but not yet to its end."""
    database = LateDatabase(broker.location, DEADLINE)
    database.late = await connect(broker.location, DEADLINE)
    await database.late.execute("BEGIN")
    assert len(await dead._claim.take(database, 10)) == 2
    return database.late


@pytest.mark.parametrize("end", ["bury", "leave"])
async def test_a_claim_that_commits_after_the_end_of_its_consumer(broker: PostgresBroker, end: str) -> None:
    sent = messages(3)
    await broker.kick(sent[0])
    dead = broker.subscribe(["default"])
    async with dead, broker.subscribe(["default"]) as heir:
        await collect(dead, 1)
        await broker.kick_many(sent[1:])
        late = await late_claim(dead, broker)
        with anyio.fail_after(DEADLINE):
            async with anyio.create_task_group() as group:
                group.start_soon(heir.bury, dead.consumer, []) if end == "bury" else group.start_soon(dead._leases.leave)
                while not await late.fetchval(_WAITS, late.get_server_pid()):
                    await anyio.sleep(0.005)
                await late.execute("COMMIT")
        late.terminate()
        back = await collect(heir, 3)
        assert bodies(back) == bodies(sent)
        await settle(heir, back)
    assert await whats_there(broker) == []


async def test_a_claim_that_comes_when_its_consumer_is_gone_has_a_lease(broker: PostgresBroker) -> None:
    sent = messages(2)
    dead = broker.subscribe(["default"])
    async with dead, broker.subscribe(["default"]) as heir:
        await heir.bury(dead.consumer, [])
        await broker.kick_many(sent)
        late = await late_claim(dead, broker)
        await late.execute("COMMIT")
        late.terminate()
        back = await collect(heir, 2)
        assert bodies(back) == bodies(sent)
        await settle(heir, back)


async def test_what_is_held_without_a_lease_has_one(broker: PostgresBroker) -> None:
    """Somebody has emptied the table of workers: who lives keeps what it holds, and the rest comes back."""
    sent = messages(4)
    await broker.kick_many(sent)
    async with broker.subscribe(["default"]) as dead, broker.subscribe(["default"]) as alive:
        lost, held = await collect(dead, 2), await collect(alive, 2)
        shared_postgres().ask(f"DELETE FROM {broker.location.schema}.workers")
        assert not await alive.extend(held)
        back: list = []
        with anyio.fail_after(DEADLINE):
            while len(back) < 2:
                with anyio.move_on_after(0.2):
                    back += await alive.receive(10)
                assert not await alive.extend([*held, *back])
        assert bodies(back) == bodies(lost)
        assert [item.deaths for item in back] == [0, 0]
        await settle(alive, [*held, *back])
    assert await whats_there(broker) == []
