"""A process that was forked starts anew, and leaves its parent's connection alone."""

import pytest
from support.processes import running

FORK = """
import asyncio, os, sys
from taskiq_core.exceptions import SendTaskError
from taskiq_core.testing.broker_tools import bodies, messages, whats_there
from taskiq_core_brokers_nats import NatsBroker

broker = NatsBroker(sys.argv[1], prefix=sys.argv[2])

async def child() -> None:
    try:
        await broker.kick_many(messages(1))
    except SendTaskError as error:
        assert "fork" in str(error), error
    else:
        raise AssertionError("the parent's connection was used")
    await broker.startup()
    sent = messages(2)
    await broker.kick_many(sent)
    assert bodies(await whats_there(broker)) == bodies(sent)
    await broker.shutdown()

async def parent() -> bool:
    await broker.startup()
    assert await whats_there(broker) == []
    pid = os.fork()
    if pid == 0:
        return True
    assert (await asyncio.to_thread(os.waitpid, pid, 0))[1] == 0
    made, sent = broker._connection.made, messages(2)
    await broker.kick_many(sent)
    assert bodies(await whats_there(broker)) == bodies(sent)
    assert broker._connection.made == made, "the connection was lost"
    await broker.shutdown()
    print("done", flush=True)
    return False

loop = asyncio.new_event_loop()
if loop.run_until_complete(parent()):
    asyncio.run(child())
    os._exit(0)
"""


@pytest.mark.crash
def test_a_forked_process_starts_anew(nats_url: str, nats_prefix: str) -> None:
    with running("python", "-c", FORK, nats_url, nats_prefix) as process:
        process.wait_for_line("done")
        assert process.wait() == 0
