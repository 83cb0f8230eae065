"""The options of a task: what `@broker.task(...)` accepts beside custom labels."""

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, cast

from taskiq_core.acks import AcknowledgeType, parse_acknowledge_type
from taskiq_core.exceptions import ConfigurationError
from taskiq_core.labels import parse_bool, parse_priority
from taskiq_core.retry import Retry, seconds
from taskiq_core.schedule import ScheduleSpec

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


def _queue(value: Any) -> str:
    if not isinstance(value, str) or not value or "," in value:
        msg = "a queue is named by a text without commas"
        raise ValueError(msg)
    return value


def _positive(value: Any) -> float:
    number = seconds(value)
    if number == 0:
        msg = "expected more than 0 seconds"
        raise ValueError(msg)
    return number


_PARSERS: dict[str, Any] = {
    "queue": _queue,
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
}

_OTHER_NAMES = {
    "retries": "'retry'",
    "max_retry": "'retry'",
    "retry_delay": "'retry', as in Retry(3, delay=60)",
    "retry_backoff": "'retry', as in Retry(3, backoff=\"exponential\")",
    "ttl": "'result_ttl'",
    "result_expires": "'result_ttl'",
    "time_limit": "'timeout'",
    "eta": "'delay', or with_eta() on the kicker",
    "max_concurrency": "WorkerSettings.concurrency",
}
"""How other frameworks call what is an option here."""
_NOT_SERVED = frozenset({"limits", "unique", "on_failure", "on_success", "batch", "debounce", "throttle"})
"""Names that are kept for options to come: as labels they would be silently ignored."""

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
        elif name in _NOT_SERVED:
            raise ConfigurationError(
                reason=f"Option {name} is not served by this release: drop it, or rename a label of yours."
            )
        elif name == "schedule" and not _is_dict_list(value):
            reason = "schedule takes Cron(...), Every(...), At(...), a list of those, or Taskiq's list of dicts."
            raise ConfigurationError(reason=reason)
        else:
            labels[name] = value
    return TaskOptions(**{k: v for k, v in options.items() if v is not None}), labels, _near_misses(labels)


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
