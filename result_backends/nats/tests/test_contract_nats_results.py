"""The NATS backend keeps the laws of result backends."""

from contextlib import asynccontextmanager
from functools import partial

from support.nats_servers import nats_prefix, shared_nats

from taskiq_core.testing.result_backend_suite import ResultBackendContract
from taskiq_core_result_backends_nats import NatsResultBackend


class TestNatsResultBackend(ResultBackendContract):
    backends = ("asyncio",)

    @asynccontextmanager
    async def fresh_store(self):
        with nats_prefix() as prefix:
            yield partial(NatsResultBackend, shared_nats().url, prefix=prefix)
