"""`import taskiq` as another name for this package, so that plugins written for Taskiq run unchanged.

::

    import taskiq_core.taskiq_alias
    taskiq_core.taskiq_alias.install()
    from taskiq_redis import RedisStreamBroker      # its `from taskiq import ...` now gets our classes

The modules and names are those of Taskiq's public interface; each is the same object as ours. A name is looked up when it is
first asked for, so the alias imports nothing that nobody uses.
"""

import importlib
import sys
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any, Final

from taskiq_core.exceptions import ConfigurationError

_ROOT: Final = "taskiq"

_HOMES: Final = {
    "taskiq_core.abc.formatter": "TaskiqFormatter",
    "taskiq_core.abc.middleware": "TaskiqMiddleware",
    "taskiq_core.abc.result_backend": "AsyncResultBackend",
    "taskiq_core.abc.schedule_source": "ScheduleSource",
    "taskiq_core.abc.serializer": "TaskiqSerializer",
    "taskiq_core.acks": "AckableMessage AcknowledgeType parse_acknowledge_type",
    "taskiq_core.api": "run_receiver_task run_scheduler_task",
    "taskiq_core.broker": "AsyncBroker",
    "taskiq_core.brokers.inmemory": "InMemoryBroker",
    "taskiq_core.brokers.shared": "AsyncSharedBroker async_shared_broker",
    "taskiq_core.cli.app": "import_object",
    "taskiq_core.context": "Context",
    "taskiq_core.created_schedule": "CreatedSchedule",
    "taskiq_core.decor": "AsyncTaskiqDecoratedTask",
    "taskiq_core.depends": "ProgressTracker TaskiqDepends",
    "taskiq_core.events": "TaskiqEvents",
    "taskiq_core.exceptions": (
        "BrokerError NoResultError ResultBackendError ResultGetError ResultIsReadyError ResultSetError "
        "ScheduledTaskCancelledError SecurityError SendTaskError SharedBrokerListenError SharedBrokerSendTaskError "
        "TaskBrokerMismatchError TaskRejectedError TaskiqError TaskiqResultTimeoutError UnknownTaskError"
    ),
    "taskiq_core.formatters": "JSONFormatter ProxyFormatter",
    "taskiq_core.gathering": "gather",
    "taskiq_core.kicker": "AsyncKicker",
    "taskiq_core.message": "BrokerMessage TaskiqMessage",
    "taskiq_core.middlewares": "SimpleRetryMiddleware SmartRetryMiddleware",
    "taskiq_core.progress": "TaskProgress TaskState",
    "taskiq_core.result": "TaskiqResult",
    "taskiq_core.result_backends.dummy": "DummyResultBackend",
    "taskiq_core.schedule": "CronSpec ScheduledTask",
    "taskiq_core.schedule_sources": "LabelScheduleSource",
    "taskiq_core.scheduler": "TaskiqScheduler",
    "taskiq_core.serializers": "CBORSerializer JSONSerializer MSGPackSerializer ORJSONSerializer PickleSerializer",
    "taskiq_core.state": "TaskiqState",
    "taskiq_core.task": "AsyncTaskiqTask",
    "taskiq_core.utils": "maybe_awaitable",
    "taskiq_core.worker.receiver": "Receiver",
}
"""Where each of the names lives here."""

_RENAMED: Final = {
    "Error": ("taskiq_core.exceptions", "TaskiqError"),
    "exception_to_python": ("taskiq_core.error_codec", "exception_from_data"),
}

_ERRORS: Final = _HOMES["taskiq_core.exceptions"]
_SERIALIZERS: Final = _HOMES["taskiq_core.serializers"]

_MODULES: Final = {
    "": (
        "AckableMessage AsyncBroker AsyncResultBackend AsyncTaskiqDecoratedTask AsyncTaskiqTask BrokerMessage Context "
        "InMemoryBroker NoResultError ResultGetError ResultIsReadyError ScheduleSource ScheduledTask SendTaskError "
        "SimpleRetryMiddleware SmartRetryMiddleware TaskiqDepends TaskiqError TaskiqEvents TaskiqFormatter TaskiqMessage "
        "TaskiqMiddleware TaskiqResult TaskiqResultTimeoutError TaskiqScheduler TaskiqState async_shared_broker gather"
    ),
    "abc": "AsyncBroker AsyncResultBackend TaskiqFormatter TaskiqMiddleware",
    "abc.broker": "AckableMessage AsyncBroker",
    "abc.formatter": "TaskiqFormatter",
    "abc.middleware": "TaskiqMiddleware",
    "abc.result_backend": "AsyncResultBackend",
    "abc.schedule_source": "ScheduleSource",
    "abc.serializer": "TaskiqSerializer",
    "acks": "AckableMessage AcknowledgeType parse_acknowledge_type",
    "api": "run_receiver_task run_scheduler_task",
    "brokers": "",
    "brokers.inmemory_broker": "InMemoryBroker",
    "brokers.shared_broker": "AsyncSharedBroker async_shared_broker",
    "cli": "",
    "cli.utils": "import_object",
    "context": "Context",
    "decor": "AsyncTaskiqDecoratedTask",
    "depends": "",
    "depends.progress_tracker": "ProgressTracker TaskProgress TaskState",
    "error": "Error",
    "events": "TaskiqEvents",
    "exceptions": _ERRORS,
    "formatters": "",
    "formatters.json_formatter": "JSONFormatter",
    "formatters.proxy_formatter": "ProxyFormatter",
    "funcs": "gather",
    "kicker": "AsyncKicker",
    "message": "BrokerMessage TaskiqMessage",
    "middlewares": "SimpleRetryMiddleware SmartRetryMiddleware",
    "middlewares.simple_retry_middleware": "SimpleRetryMiddleware",
    "middlewares.smart_retry_middleware": "SmartRetryMiddleware",
    "receiver": "Receiver",
    "result": "TaskiqResult",
    "result_backends": "",
    "result_backends.dummy": "DummyResultBackend",
    "schedule_sources": "LabelScheduleSource",
    "schedule_sources.label_based": "LabelScheduleSource",
    "scheduler": "",
    "scheduler.created_schedule": "CreatedSchedule",
    "scheduler.scheduled_task": "CronSpec ScheduledTask",
    "scheduler.scheduler": "TaskiqScheduler",
    "serialization": "exception_to_python",
    "serializers": _SERIALIZERS,
    "serializers.cbor_serializer": "CBORSerializer",
    "serializers.json_serializer": "JSONSerializer",
    "serializers.msgpack_serializer": "MSGPackSerializer",
    "serializers.orjson_serializer": "ORJSONSerializer",
    "serializers.pickle": "PickleSerializer",
    "state": "TaskiqState",
    "task": "AsyncTaskiqTask",
    "utils": "maybe_awaitable",
}
"""Taskiq's modules, below `taskiq`, and what each holds."""

_HOME_OF: Final = {name: (home, name) for home, names in _HOMES.items() for name in names.split()} | _RENAMED


def install() -> None:
    """Make `import taskiq` mean this package from now on; installing twice is no error.

    :raises ConfigurationError: if the real taskiq has been imported already: half the program would use it.
    """
    if any(isinstance(finder, _AliasFinder) for finder in sys.meta_path):
        return
    real = sys.modules.get(_ROOT)
    if real is not None:
        reason = (
            f"The real taskiq is imported already (from {getattr(real, '__file__', 'somewhere')}). "
            "Call taskiq_core.taskiq_alias.install() before anything imports it, best as the first lines of the program."
        )
        raise ConfigurationError(reason=reason)
    sys.meta_path.insert(0, _AliasFinder())


class _AliasFinder(MetaPathFinder):
    def find_spec(self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        root, _, below = fullname.partition(".")
        if root != _ROOT:
            return None
        if below not in _MODULES:
            msg = (
                f"No module named {fullname!r}: `taskiq` is an alias of taskiq_core here (taskiq_core.taskiq_alias), "
                "which has no counterpart of that module"
            )
            raise ModuleNotFoundError(msg, name=fullname)
        is_package = not below or any(name.startswith(below + ".") for name in _MODULES)
        return ModuleSpec(fullname, _AliasLoader(below), origin=__file__, is_package=is_package)


class _AliasLoader(Loader):
    def __init__(self, below: str) -> None:
        self._below = below

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return None

    def exec_module(self, module: ModuleType) -> None:
        names = _MODULES[self._below].split()
        prefix = self._below + "." if self._below else ""

        def find(name: str) -> Any:
            if name in names:
                home, attribute = _HOME_OF[name]
                value = getattr(importlib.import_module(home), attribute)
            elif prefix + name in _MODULES:
                value = importlib.import_module(f"{module.__name__}.{name}")
            else:
                msg = f"{module.__name__!r}, an alias into taskiq_core, has no {name!r}"
                raise AttributeError(msg)
            setattr(module, name, value)
            return value

        module.__file__ = __file__  # shown by "cannot import name ..."
        module.__dict__.update(
            __doc__=f"Alias into taskiq_core of Taskiq's {module.__name__}.", __all__=names, __getattr__=find
        )
