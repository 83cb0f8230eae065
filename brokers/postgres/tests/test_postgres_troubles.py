"""Servers that end and networks that break: what was open works again, and nothing is sent twice."""

import anyio
import pytest
from support.broker_stories import BrokerStories, assert_a_forked_process_starts_anew, received
from support.postgres_fixtures import StartPostgres
from support.postgres_server import PostgresServer
from support.postgres_servers import shared_postgres
from support.tcp_proxy import TcpProxy

from taskiq_core.testing.broker_tools import collect, messages, settle, whats_there

pytestmark = pytest.mark.anyio


class TestPostgresStories(BrokerStories):
    @pytest.fixture
    def url(self, postgres_schema: str) -> str:
        return f"{shared_postgres().url}?schema={postgres_schema}"

    @pytest.fixture
    def server(self, start_postgres: StartPostgres) -> PostgresServer:
        return start_postgres("fsync = on", "full_page_writes = on")

    async def test_a_holder_that_was_cut_off_keeps_what_it_holds(self, broker, proxy: TcpProxy) -> None:
        """All workers were: the first that comes back finds its lease ended, and gives everybody time to renew theirs."""
        await broker.kick_many(messages(2))
        async with broker.subscribe(["default"]) as first, broker.subscribe(["default"]) as second:
            held = [*await collect(first, 1), *await collect(second, 1)]
            proxy.refuse()
            proxy.reset()
            await anyio.sleep(3.5)
            proxy.resume()
            with anyio.move_on_after(1.0):
                assert not await received(first, 1)
            assert not await second.extend(held[1:])
            assert not await first.extend(held[:1])
            await settle(first, held[:1])
            await settle(second, held[1:])
        assert await whats_there(broker) == []


@pytest.mark.crash
def test_a_forked_process_starts_anew(postgres_schema: str) -> None:
    assert_a_forked_process_starts_anew(f"{shared_postgres().url}?schema={postgres_schema}")
