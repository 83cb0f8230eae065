"""The worker: an assembly line of small rooms.

receiver (intake, slots, stop order) → inbox → execution (one message to one outcome) → invocation (the call itself) →
completion queue (results, verdicts, credit). Beside the line: leases (renewal), sandbox (processes of their own), recorder
(what ran when a process died).
"""

from taskiq_core.worker.settings import WorkerSettings
from taskiq_core.worker.worker import Worker

__all__ = ["Worker", "WorkerSettings"]
