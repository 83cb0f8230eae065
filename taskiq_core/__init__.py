"""taskiq_core: tasks that survive.

The floors, from the ground up; imports only ever point down:

1. vocabulary: `message delivery result progress schedule events state records labels acks exceptions ...`
2. `abc/`: the contracts that plugins implement
3. tools: `serializers formatters middleware_chain group_commit listening plugins ...`
4. sending: `task kicker decor registrar router gather ...`
5. the broker: `broker context depends`
6. two engines: `worker` and `scheduler`
7. built-ins and doors: `brokers result_backends schedule_sources middlewares cli testing`
"""

from taskiq_core.abc import (
    AsyncResultBackend,
    Coordinator,
    QueueAdmin,
    RecordStore,
    ScheduleSource,
    Subscription,
    TaskiqFormatter,
    TaskiqMiddleware,
    TaskiqSerializer,
)
from taskiq_core.acks import AckableMessage, AcknowledgeType
from taskiq_core.api import run_receiver_task, run_scheduler_task
from taskiq_core.batch import Batch
from taskiq_core.broker import AsyncBroker
from taskiq_core.brokers.inmemory import InMemoryBroker
from taskiq_core.brokers.shared import AsyncSharedBroker, async_shared_broker
from taskiq_core.capability import Capability
from taskiq_core.context import Context
from taskiq_core.created_schedule import CreatedSchedule
from taskiq_core.decor import AsyncTaskiqDecoratedTask
from taskiq_core.delivery import DeadLetter, Delivery, Settlement, StoredResult, Verdict
from taskiq_core.depends import Progress, ProgressTracker, TaskiqDepends
from taskiq_core.events import TaskiqEvents
from taskiq_core.exceptions import (
    ArgumentError,
    DuplicateTaskError,
    NoResultError,
    ResultGetError,
    ResultIsReadyError,
    SendTaskError,
    TaskCancelledError,
    TaskFailed,
    TaskiqError,
    TaskiqResultTimeoutError,
    TaskRejectedError,
    TaskRetry,
    UnknownTaskError,
    UnsupportedOptionError,
)
from taskiq_core.gather import gather
from taskiq_core.kicker import AsyncKicker, Call, call
from taskiq_core.limit_control import Limits, LimitState
from taskiq_core.limits import Concurrency, Rate
from taskiq_core.message import BrokerMessage, TaskiqMessage
from taskiq_core.middlewares import SimpleRetryMiddleware, SmartRetryMiddleware
from taskiq_core.plugins import broker_from_url, result_backend_from_url, schedule_source_from_url
from taskiq_core.progress import TaskProgress, TaskState
from taskiq_core.records import TaskStatus
from taskiq_core.result import TaskiqResult
from taskiq_core.result_backends.dummy import DummyResultBackend
from taskiq_core.result_backends.inmemory import InMemoryResultBackend
from taskiq_core.retry import Retry
from taskiq_core.router import TaskRouter
from taskiq_core.routes import Route
from taskiq_core.schedule import At, Cron, CronSpec, Every, ScheduledTask
from taskiq_core.schedule_sources import LabelScheduleSource
from taskiq_core.scheduler import TaskiqScheduler
from taskiq_core.state import TaskiqState
from taskiq_core.task import AsyncTaskiqTask
from taskiq_core.task_events import (
    TaskCancelled,
    TaskEnded,
    TaskEvent,
    TaskFailure,
    TaskRejected,
    TaskReleased,
    TaskRequeued,
    TaskRetrying,
    TaskSent,
    TaskStarted,
    TaskSucceeded,
    WorkerEvent,
)
from taskiq_core.uniqueness import Debounce, Throttle, Unique
from taskiq_core.worker import Worker, WorkerSettings

__all__ = [
    "AckableMessage",
    "AcknowledgeType",
    "ArgumentError",
    "AsyncBroker",
    "AsyncKicker",
    "AsyncResultBackend",
    "AsyncSharedBroker",
    "AsyncTaskiqDecoratedTask",
    "AsyncTaskiqTask",
    "At",
    "Batch",
    "BrokerMessage",
    "Call",
    "Capability",
    "Concurrency",
    "Context",
    "Coordinator",
    "CreatedSchedule",
    "Cron",
    "CronSpec",
    "DeadLetter",
    "Debounce",
    "Delivery",
    "DummyResultBackend",
    "DuplicateTaskError",
    "Every",
    "InMemoryBroker",
    "InMemoryResultBackend",
    "LabelScheduleSource",
    "LimitState",
    "Limits",
    "NoResultError",
    "Progress",
    "ProgressTracker",
    "QueueAdmin",
    "Rate",
    "RecordStore",
    "ResultGetError",
    "ResultIsReadyError",
    "Retry",
    "Route",
    "ScheduleSource",
    "ScheduledTask",
    "SendTaskError",
    "Settlement",
    "SimpleRetryMiddleware",
    "SmartRetryMiddleware",
    "StoredResult",
    "Subscription",
    "TaskCancelled",
    "TaskCancelledError",
    "TaskEnded",
    "TaskEvent",
    "TaskFailed",
    "TaskFailure",
    "TaskProgress",
    "TaskRejected",
    "TaskRejectedError",
    "TaskReleased",
    "TaskRequeued",
    "TaskRetry",
    "TaskRetrying",
    "TaskRouter",
    "TaskSent",
    "TaskStarted",
    "TaskState",
    "TaskStatus",
    "TaskSucceeded",
    "TaskiqDepends",
    "TaskiqError",
    "TaskiqEvents",
    "TaskiqFormatter",
    "TaskiqMessage",
    "TaskiqMiddleware",
    "TaskiqResult",
    "TaskiqResultTimeoutError",
    "TaskiqScheduler",
    "TaskiqSerializer",
    "TaskiqState",
    "Throttle",
    "Unique",
    "UnknownTaskError",
    "UnsupportedOptionError",
    "Verdict",
    "Worker",
    "WorkerEvent",
    "WorkerSettings",
    "async_shared_broker",
    "broker_from_url",
    "call",
    "gather",
    "result_backend_from_url",
    "run_receiver_task",
    "run_scheduler_task",
    "schedule_source_from_url",
]
