"""The NATS schedule source keeps the laws of schedule sources, and those of claims."""

from contextlib import asynccontextmanager
from functools import partial

from support.nats_servers import nats_prefix, shared_nats

from taskiq_core.testing.claim_suite import ClaimStoreContract
from taskiq_core.testing.schedule_suite import ScheduleSourceContract
from taskiq_core_schedule_sources_nats import NatsScheduleSource


class OnNats:
    backends = ("asyncio",)

    @asynccontextmanager
    async def fresh_store(self):
        with nats_prefix() as prefix:
            yield partial(NatsScheduleSource, shared_nats().url, prefix=prefix)


class TestNatsScheduleSource(OnNats, ScheduleSourceContract):
    pass


class TestNatsClaims(OnNats, ClaimStoreContract):
    pass
