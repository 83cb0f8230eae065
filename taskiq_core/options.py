"""The options of a task: what `@broker.task(...)` accepts beside custom labels."""

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, cast

from taskiq_core.acks import AcknowledgeType, parse_acknowledge_type
from taskiq_core.batch import Batch
from taskiq_core.exceptions import ConfigurationError
from taskiq_core.labels import check_queue, parse_bool, parse_priority
from taskiq_core.limits import Concurrency, Limit, Rate
from taskiq_core.retry import Retry, seconds
from taskiq_core.schedule import ScheduleSpec
from taskiq_core.uniqueness import Debounce, Throttle, Unique

Executor = Literal["thread", "process"]


@dataclass(frozen=True, slots=True)
class TaskOptions:
    """Options in their checked form; times are seconds, None means the default."""

    queue: str | None = None
    priority: int | None = None
    retry: Retry | None = None
    timeout: float | None = None
    store_result: bool = True
    result_ttl: float | None = None
    expires: float | None = None
    delay: float | None = None
    ack_type: AcknowledgeType | None = None
    executor: Executor | None = None
    cast_types: bool | Literal["lenient"] = True
    dead_letter: bool = False
    """True: a copy of the message goes to the dead letters when the task has failed for good."""
    limits: tuple[Limit, ...] = ()
    unique: Unique | Debounce | Throttle | None = None
    """Also what was given as `debounce` or `throttle`."""
    on_success: str | None = None
    """The name of the task that is sent when this one has succeeded."""
    on_failure: str | None = None
    """The name of the task that is sent when this one has failed for good."""
    batch: Batch | None = None
    schedule: tuple[ScheduleSpec, ...] = field(default=())


def _retry(value: Any) -> Retry:
    if isinstance(value, Retry):
        return value
    if isinstance(value, bool):
        return Retry() if value else Retry(0)
    return Retry(int(value))


def _ack(value: Any) -> AcknowledgeType:
    return parse_acknowledge_type(value)


def _executor(value: Any) -> Any:
    if value not in ("thread", "process"):
        msg = "expected 'thread' or 'process'"
        raise ValueError(msg)
    return value


def _cast(value: Any) -> Any:
    return value if value == "lenient" else parse_bool(value)


def _positive(value: Any) -> float:
    number = seconds(value)
    if number == 0:
        msg = "expected more than 0 seconds"
        raise ValueError(msg)
    return number


def _limits(value: Any) -> tuple[Limit, ...]:
    found = tuple(cast("Sequence[Any]", value)) if isinstance(value, Sequence) else (value,)
    if not found or not all(isinstance(item, Concurrency | Rate) for item in found):
        msg = "expected Concurrency(...), Rate(...), or a list of those"
        raise ValueError(msg)
    return found


def _unique(value: Any) -> Unique | None:
    if isinstance(value, Unique):
        return value
    try:
        return Unique() if parse_bool(value) else None
    except ValueError:
        msg = f"expected True, False or Unique(...), as in Unique(key={value if isinstance(value, str) else '{order}'!r})"
        raise ValueError(msg) from None


def _debounce(value: Any) -> Debounce:
    return value if isinstance(value, Debounce) else Debounce(value)


def _throttle(value: Any) -> Throttle:
    return value if isinstance(value, Throttle) else Throttle(value)


def callback_name(value: Any) -> str:
    """The name of a task that is given as itself or by name.

    :raises ValueError: if it is neither.
    """
    name = value if isinstance(value, str) else getattr(value, "task_name", None)
    if not isinstance(name, str) or not name:
        msg = "expected a task or the name of one"
        raise ValueError(msg)
    return name


def _batch(value: Any) -> Batch:
    return value if isinstance(value, Batch) else Batch(value)


_PARSERS: dict[str, Any] = {
    "queue": check_queue,
    "priority": parse_priority,
    "retry": _retry,
    "timeout": _positive,
    "store_result": parse_bool,
    "result_ttl": _positive,
    "expires": _positive,
    "delay": seconds,
    "ack_type": _ack,
    "executor": _executor,
    "cast_types": _cast,
    "dead_letter": parse_bool,
    "limits": _limits,
    "unique": _unique,
    "debounce": _debounce,
    "throttle": _throttle,
    "on_success": callback_name,
    "on_failure": callback_name,
    "batch": _batch,
}
_ONE_OF_A_KIND = ("unique", "debounce", "throttle")
"""Options that all say which sends are one: a task has one of them at most."""

_OTHER_NAMES = {
    "retries": "'retry'",
    "max_attempts": "'retry'",
    "max_retry": "'retry'",
    "autoretry_for": "'retry', as in Retry(3, on=ConnectionError)",
    "retry_delay": "'retry', as in Retry(3, delay=60)",
    "retry_backoff": "'retry', as in Retry(3, backoff=\"exponential\")",
    "ttl": "'result_ttl'",
    "result_expires": "'result_ttl'",
    "ignore_result": "'store_result'",
    "time_limit": "'timeout'",
    "deadline": "'expires' for the start, 'timeout' for the run",
    "max_age": "'expires'",
    "eta": "'delay', or with_eta() on the kicker",
    "countdown": "'delay'",
    "concurrency": "'limits', as in limits=[Concurrency(10)]",
    "max_concurrency": "'limits', as in limits=[Concurrency(10)]",
    "rate_limit": "'limits', as in limits=[Rate(100, per=60)]",
    "on_error": "'on_failure'",
    "link": "'on_success'",
    "link_error": "'on_failure'",
    "acks_late": "'ack_type'",
    "batch_size": "'batch'",
    "unique_key": "'unique', as in Unique(key=\"{order}\")",
    "idempotency_key": "'unique', or with_idempotency_key() on the kicker",
}
"""How other frameworks call what is an option here. Not `max_retries`: that is a label of Taskiq's retry middlewares."""

OPTION_NAMES = frozenset(_PARSERS) | {"schedule"}


def split_options(keywords: Mapping[str, Any]) -> tuple[TaskOptions, dict[str, Any], list[str]]:
    """Tell options from custom labels.

    Returns the options, the labels, and one warning per label whose name looks like a misspelt option.

    :raises ConfigurationError: for an option whose value cannot be read.
    """
    options: dict[str, Any] = {}
    labels: dict[str, Any] = {}
    for name, value in keywords.items():
        if name == "schedule" and _is_spec_list(value):
            options[name] = tuple(cast("Sequence[ScheduleSpec]", value)) if isinstance(value, Sequence) else (value,)
        elif name in _PARSERS:
            options[name] = _read(name, value)
        elif name == "schedule" and not _is_dict_list(value):
            reason = "schedule takes Cron(...), Every(...), At(...), a list of those, or Taskiq's list of dicts."
            raise ConfigurationError(reason=reason)
        else:
            labels[name] = value
    _merge_uniqueness(options)
    return TaskOptions(**{k: v for k, v in options.items() if v is not None}), labels, _near_misses(labels)


def _merge_uniqueness(options: dict[str, Any]) -> None:
    given = {name: value for name in _ONE_OF_A_KIND if (value := options.pop(name, None)) is not None}
    if len(given) > 1:
        raise ConfigurationError(reason=f"Of {' and '.join(given)} a task can have one: each decides which sends are one.")
    options["unique"] = next(iter(given.values()), None)


def _is_spec_list(value: Any) -> bool:
    # Taskiq's `schedule` is a list of dicts and stays a label.
    items = cast("Sequence[Any]", value) if isinstance(value, Sequence) else (value,)
    return bool(items) and all(isinstance(item, ScheduleSpec) for item in items)


def _is_dict_list(value: Any) -> bool:
    return isinstance(value, Sequence) and all(isinstance(item, Mapping) for item in cast("Sequence[Any]", value))


def _read(name: str, value: Any) -> Any:
    if value is None:
        return None
    try:
        return _PARSERS[name](value)
    except (TypeError, ValueError) as error:
        msg = f"Option {name}={value!r} cannot be read: {error}"
        raise ConfigurationError(reason=msg) from error


def _near_misses(labels: Mapping[str, Any]) -> list[str]:
    warnings: list[str] = []
    for name in labels:
        close = difflib.get_close_matches(name, OPTION_NAMES, n=1, cutoff=0.8)
        meant = _OTHER_NAMES.get(name) or (repr(close[0]) if close else None)
        if meant and name != "schedule" and not name.startswith(("_", "X-")):
            warnings.append(f"{name!r} is kept as a custom label; did you mean the option {meant}?")
    return warnings
