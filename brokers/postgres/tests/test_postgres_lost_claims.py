"""Claims whose answers are lost: what they took comes back to somebody, and is nobody's death."""

import anyio
import pytest
from support.broker_stories import settled
from support.postgres_servers import shared_postgres
from support.processes import DEADLINE
from support.tcp_proxy import TcpProxy

from taskiq_core.abc.subscription import Subscription
from taskiq_core.exceptions import BrokerError
from taskiq_core.testing.broker_tools import bodies, collect, messages, settle
from taskiq_core_brokers_postgres import PostgresBroker, locate

pytestmark = pytest.mark.anyio


@pytest.fixture
def proxy():
    server = locate(shared_postgres().url, None)
    with TcpProxy(int(server.server.partition("/")[0].rpartition(":")[2])) as proxy:
        yield proxy


@pytest.fixture
async def brokers(postgres_schema: str, proxy: TcpProxy):
    """One beyond the proxy, and one that is well."""
    url = shared_postgres().url
    beyond = url.replace(f":{proxy.target}/", f":{proxy.port}/")
    async with (
        PostgresBroker(beyond, schema=postgres_schema, lease=1.0) as broken,
        PostgresBroker(url, schema=postgres_schema, lease=1.0) as well,
    ):
        yield broken, well


async def keep(subscription: Subscription) -> None:
    """Extend nothing again and again, as an idle worker does."""
    while True:
        await subscription.extend([])
        await anyio.sleep(0.1)


async def test_what_a_lost_answer_took_comes_back_although_nothing_more_is_sent(brokers, proxy: TcpProxy) -> None:
    broken, well = brokers
    sent = messages(2)
    async with broken.subscribe(["default"]) as unlucky, well.subscribe(["default"]) as other:
        await well.kick_many(sent)
        cut = proxy.drop_replies(unlucky.consumer.encode())
        with pytest.raises(BrokerError):
            await unlucky.receive(10)
        assert cut.wait(DEADLINE)
        assert (await well.admin.depth("default")).leased == 2
        async with anyio.create_task_group() as group:
            group.start_soon(keep, unlucky)
            back = await collect(other, 2)
            group.cancel_scope.cancel()
        assert bodies(back) == bodies(sent)
        assert [item.deaths for item in back] == [0, 0]
        await settle(other, back)


async def test_the_first_half_of_a_claim_is_delivered_when_the_second_fails(brokers, proxy: TcpProxy) -> None:
    """A consumer that has taken something begins where that ended; only then does it look at the beginning again."""
    broken, well = brokers
    async with broken.subscribe(["default"]) as unlucky:
        await well.kick_many(messages(6))
        await settle(unlucky, await collect(unlucky, 2))
        claim, fetched = unlucky._claim, []
        fetch = claim._fetch

        async def fetch_once(*arguments):
            if fetched:
                proxy.refuse()
                proxy.reset()
            fetched.append(await fetch(*arguments))
            return fetched[-1]

        claim._fetch = fetch_once
        taken = await unlucky.receive(6)
        proxy.resume()
        assert len(taken) == 4
        await settled(unlucky, taken)
    depth = await well.admin.depth("default")
    assert (depth.ready, depth.leased) == (0, 0)


async def test_what_is_not_extended_between_two_claims_is_parted_with(brokers) -> None:
    """But never what has just been received: its claim was under way when the lease was renewed."""
    _, well = brokers
    async with well.subscribe(["default"]) as holder, well.subscribe(["default"]) as other:
        known = holder._known
        before = known.mark()
        known.begin()
        during = known.mark()
        assert known.until(before, 7) == known.until(during, 7) == 0
        known.end()
        assert known.until(during, 7) == 0
        assert known.until(known.mark(), 7) == 7
        await well.kick_many(messages(1))
        held = await collect(holder, 1)
        assert not await holder.extend(held)
        assert not await holder.extend([])
        back = await collect(other, 1)
        assert [item.deaths for item in back] == [0]
        assert len(await holder.extend(held)) == 1
        await settle(other, back)
