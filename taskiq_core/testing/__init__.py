"""For tests of applications: `taskiq_test`, see `taskiq_core.testing.kit`. For plugins: the published contract suites.

What the core relies on, as tests that every plugin runs. A plugin's whole test file::

    from contextlib import asynccontextmanager
    from tempfile import TemporaryDirectory

    from taskiq_core.testing import BrokerContract
    from taskiq_core_brokers_sqlite import SQLiteBroker


    class TestSQLiteBroker(BrokerContract):
        @asynccontextmanager
        async def fresh_store(self):
            with TemporaryDirectory() as folder:
                yield lambda: SQLiteBroker(f"{folder}/jobs.db", lease=self.lease)

`fresh_store` is entered once per law and gives an empty store and a factory. The factory makes instances on that store
(the second one stands for another process); the suite starts them and shuts them down. Laws are plain methods that run
their own event loop, on asyncio and on trio: no marker, no mode, no async fixtures. A law about something that the plugin
does not claim is skipped, with the reason. Fixtures for servers must be synchronous, on the class or the module.

Attributes to set on the class: `deadline` (seconds for one law), `backends` (event loops that the driver can use),
`shared` (False where two instances never see each other's data); for brokers also `lease`, `short_lease`, `pause_delay`,
`big_body` and, for `Capability.JOINT_SETTLE`, the method `result_backend_beside(broker)`.
"""

import pkgutil
import sys

if "pytest" in sys.modules:  # so that a failed assertion of a law shows its values, as one of the plugin's own does
    sys.modules["pytest"].register_assert_rewrite(*(f"{__name__}.{item.name}" for item in pkgutil.iter_modules(__path__)))

from taskiq_core.testing.broker_suite import BrokerContract
from taskiq_core.testing.claim_suite import ClaimStoreContract
from taskiq_core.testing.coordinator_suite import CoordinatorContract
from taskiq_core.testing.kit import TaskiqTest, taskiq_test
from taskiq_core.testing.record_suite import RecordStoreContract
from taskiq_core.testing.result_backend_suite import ResultBackendContract
from taskiq_core.testing.schedule_suite import ScheduleSourceContract
from taskiq_core.testing.sends import Sends, SentTask
from taskiq_core.testing.virtual_clock import VirtualTime, virtual_time

__all__ = [
    "BrokerContract",
    "ClaimStoreContract",
    "CoordinatorContract",
    "RecordStoreContract",
    "ResultBackendContract",
    "ScheduleSourceContract",
    "Sends",
    "SentTask",
    "TaskiqTest",
    "VirtualTime",
    "taskiq_test",
    "virtual_time",
]
