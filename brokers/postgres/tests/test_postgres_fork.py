"""A process that was forked starts anew, and leaves its parent's connections alone."""

import pytest
from support.postgres_servers import shared_postgres
from support.processes import running

FORK = """
import asyncio, os, sys
from taskiq_core.exceptions import SendTaskError
from taskiq_core.testing.broker_tools import bodies, messages, whats_there
from taskiq_core_brokers_postgres import PostgresBroker

broker = PostgresBroker(sys.argv[1], schema=sys.argv[2])

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

async def parent() -> None:
    await broker.startup()
    assert await whats_there(broker) == []
    pid = os.fork()
    if pid == 0:
        return True
    assert (await asyncio.to_thread(os.waitpid, pid, 0))[1] == 0
    sent = messages(2)
    await broker.kick_many(sent)
    assert bodies(await whats_there(broker)) == bodies(sent)
    await broker.shutdown()
    print("done", flush=True)

loop = asyncio.new_event_loop()
if loop.run_until_complete(parent()):
    asyncio.run(child())
    os._exit(0)
"""


@pytest.mark.crash
def test_a_forked_process_starts_anew(postgres_schema: str) -> None:
    with running("python", "-c", FORK, shared_postgres().url, postgres_schema) as process:
        process.wait_for_line("done")
        assert process.wait() == 0
