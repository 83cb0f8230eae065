"""Opening a connection to a server that is just ending."""

import asyncio
import socket
import struct
from collections.abc import Callable

import pytest
import uvloop
from support.tcp_ports import LOOPBACK

from taskiq_core_brokers_rabbitmq import RabbitError, locate
from taskiq_core_brokers_rabbitmq.opening import connect

TIMES = 30
"""What breaks first is a race."""


@pytest.mark.parametrize("new_loop", [asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def test_a_server_that_hangs_up_at_once_cannot_be_reached(new_loop: Callable[[], asyncio.AbstractEventLoop]) -> None:
    async def story(listener: socket.socket) -> None:
        location = locate(f"amqp://{LOOPBACK}:{listener.getsockname()[1]}", None)
        hanging_up = asyncio.create_task(hang_up(listener))
        for _ in range(TIMES):
            with pytest.raises(RabbitError, match="cannot be reached"):
                await connect(location, name="test", heartbeat=10, patience=5)
        hanging_up.cancel()

    with socket.create_server((LOOPBACK, 0)) as listener, asyncio.Runner(loop_factory=new_loop) as runner:
        listener.setblocking(False)
        runner.run(story(listener))


async def hang_up(listener: socket.socket) -> None:
    while True:
        client, _ = await asyncio.get_running_loop().sock_accept(listener)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.close()  # and that resets it
