from .abc import (
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
from .acks import AckableMessage, AcknowledgeType
from .api import run_receiver_task, run_scheduler_task
from .batch import Batch
from .broker import AsyncBroker
from .brokers.inmemory import InMemoryBroker
from .brokers.shared import AsyncSharedBroker, async_shared_broker
from .capability import Capability
from .context import Context
from .created_schedule import CreatedSchedule
from .decor import AsyncTaskiqDecoratedTask
from .delivery import DeadLetter, Delivery, Settlement, StoredResult, Verdict
from .depends import Progress, ProgressTracker, TaskiqDepends
from .events import TaskiqEvents
from .exceptions import (
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
from .gathering import gather
from .kicker import AsyncKicker, Call, call
from .limit_control import Limits, LimitState
from .limits import Concurrency, Rate
from .message import BrokerMessage, TaskiqMessage
from .middlewares import SimpleRetryMiddleware, SmartRetryMiddleware
from .plugins import broker_from_url, result_backend_from_url, schedule_source_from_url
from .progress import TaskProgress, TaskState
from .records import TaskStatus
from .result import TaskiqResult
from .result_backends.dummy import DummyResultBackend
from .result_backends.inmemory import InMemoryResultBackend
from .retry import Retry
from .router import TaskRouter
from .routes import Route
from .schedule import At, Cron, CronSpec, Every, ScheduledTask
from .schedule_sources import LabelScheduleSource
from .scheduler import TaskiqScheduler
from .state import TaskiqState
from .task import AsyncTaskiqTask
from .task_events import (
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
from .uniqueness import Debounce, Throttle, Unique
from .worker import Worker, WorkerSettings

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
