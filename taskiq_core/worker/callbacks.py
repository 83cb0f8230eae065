"""Tasks that are sent because another one has ended: `on_success` and `on_failure`."""

import hashlib
import inspect
import logging
from collections.abc import Mapping, Sequence
from graphlib import CycleError, TopologicalSorter
from typing import Any, cast

from taskiq_core import clock
from taskiq_core.abc.sender import Sender
from taskiq_core.broker import AnyTask, AsyncBroker
from taskiq_core.deduplication import Guard, send_guarded
from taskiq_core.depends.resolver import Resolver
from taskiq_core.exceptions import ArgumentError, ConfigurationError
from taskiq_core.labels import EXPIRES_AT, ON_FAILURE, ON_SUCCESS, PARENT_ID, is_framework_label
from taskiq_core.message import TaskiqMessage
from taskiq_core.sending import MessageSender
from taskiq_core.worker.outcome import Outcome
from taskiq_core.worker.tracebacks import describe
from taskiq_core.worker.verdicts import Ending

logger = logging.getLogger("taskiq.worker")

_SUCCEEDED = frozenset({Ending.RETURNED, Ending.NO_RESULT})
_FAILED = frozenset(
    {
        Ending.FAILED,
        Ending.FAILED_KEEP_COPY,
        Ending.REJECTED,
        Ending.HOOK_RAISED,
        Ending.CONDEMNED,
        Ending.UNKNOWN_EVERYWHERE,
    }
)
_FINAL = _SUCCEEDED | _FAILED
"""What is retried, requeued or given back goes on; what was cancelled or came too late has neither succeeded nor failed."""

_GIVEN = {"on_success": ("task_id", "result"), "on_failure": ("task_id", "exception", "traceback")}
_LONGEST_ID = 255


class Callbacks:
    """Makes and sends the messages that outcomes ask for.

    Their ids are made of the id of the task that has ended, so that sending one again makes no second one on brokers with
    `Capability.IDEMPOTENT_SEND`.
    """

    def __init__(self, broker: AsyncBroker) -> None:
        self._broker = broker
        self._find = broker.find_task
        self._sender = cast("Sender", _Direct(broker))
        self._silent: set[str] = set()
        """Names of tasks that have no callbacks of their own."""
        self._parameters: dict[str, tuple[AnyTask, frozenset[str] | None]] = {}

    def wants(self, outcome: Outcome) -> bool:
        """Whether the end of this outcome is one that a callback is to hear of."""
        message = outcome.message
        if message is None:
            return False
        labels = message.labels
        if not labels and message.task_name in self._silent:
            return False
        task = self._find(message.task_name)
        if task is None or (task.options.on_success is None and task.options.on_failure is None):
            if task is not None:
                self._silent.add(message.task_name)
            if not labels or (ON_SUCCESS.name not in labels and ON_FAILURE.name not in labels):
                return False
        return outcome.ending in _FINAL

    async def send(self, outcomes: Sequence[Outcome]) -> None:
        """Send what these ask for: in one step, but for callbacks that are unique.

        :raises SendTaskError: if the broker does not take it.
        """
        messages = [message for outcome in outcomes if (message := self._message(outcome)) is not None]
        guards = [(self._guard(message), message) for message in messages]
        messages = [message for guard, message in guards if guard is None]
        if messages:
            await self._sender.send(messages)
        for guard, message in guards:
            if guard is None:
                continue
            try:
                await send_guarded(self._sender, guard, message)
            except ArgumentError:
                await self._sender.send([message])  # no key can be made of what its task will refuse

    def _guard(self, message: TaskiqMessage) -> Guard | None:
        task = self._find(message.task_name)
        return None if task is None else task.guard

    def _message(self, outcome: Outcome) -> TaskiqMessage | None:
        parent, result = outcome.message, outcome.result
        assert parent is not None
        # A value that could not be stored has become an error meanwhile.
        if outcome.ending in _FAILED or (outcome.ending is Ending.RETURNED and result is not None and result.is_err):
            error = None if result is None else result.error
            text = outcome.reason or "" if error is None else describe(error)
            trace = None if result is None else result.traceback
            return self._call("on_failure", "failed", parent, {"exception": text, "traceback": trace or text})
        value = result.return_value if result is not None and outcome.ending is Ending.RETURNED else None
        return self._call("on_success", "succeeded", parent, {"result": value})

    def _call(self, option: str, how: str, parent: TaskiqMessage, facts: dict[str, Any]) -> TaskiqMessage | None:
        task = self._find(parent.task_name)
        label = ON_SUCCESS if option == "on_success" else ON_FAILURE
        name = label.get(parent.labels) or (None if task is None else getattr(task.options, option))
        if name is None:
            return None
        kicker = self._broker.kicker(name)
        labels = {**_passed_on(parent, task), **kicker.labels}
        PARENT_ID.set(labels, parent.task_id)
        if kicker.expires is not None:
            EXPIRES_AT.set(labels, clock.time() + kicker.expires)
        accepted = self._accepted_by(name)
        given = {"task_id": parent.task_id, **facts}
        kwargs = given if accepted is None else {key: value for key, value in given.items() if key in accepted}
        return TaskiqMessage(_id_of(parent.task_id, how), name, labels, [], kwargs)

    def _accepted_by(self, name: str) -> frozenset[str] | None:
        task = self._find(name)
        if task is None:
            return None
        known, accepted = self._parameters.get(name, (None, None))
        if known is not task:
            accepted = _named_parameters(task)
            self._parameters[name] = task, accepted
        return accepted


class _Direct:
    """The broker, but that its `send` never waits for what it sends, as that of the in-memory broker may: the task that is
    sent waits for the completion queue."""

    def __init__(self, broker: AsyncBroker) -> None:
        self._broker = broker
        self.send = MessageSender(broker).send

    def __getattr__(self, name: str) -> Any:
        return getattr(self._broker, name)


def check_callbacks(tasks: Mapping[str, AnyTask]) -> None:
    """Find callbacks that could not be called, or would call each other for ever.

    :raises ConfigurationError: for the first.
    """
    below: dict[str, list[str]] = {}
    for name, task in tasks.items():
        called = {"on_success": task.options.on_success, "on_failure": task.options.on_failure}
        below[name] = [callback for callback in called.values() if callback is not None]
        for option, callback in called.items():
            if callback is not None and callback in tasks:
                _check_parameters(task, option, tasks[callback])
    try:
        TopologicalSorter(below).prepare()
    except CycleError as error:
        circle = " → ".join(reversed(error.args[1]))
        reason = f"Callbacks go round in a circle and would never end: {circle}. Drop one of these on_success or on_failure."
        raise ConfigurationError(reason=reason) from error


def _check_parameters(task: AnyTask, option: str, callback: AnyTask) -> None:
    given = _GIVEN[option]
    if callback.options.batch is not None:
        reason = f"Task {task.task_name!r}: its {option} {callback.task_name!r} takes batches, and a callback is called alone."
        raise ConfigurationError(reason=reason)
    injected = _injected(callback)
    missing = [
        item.name
        for item in _signature(callback)
        if item.default is item.empty
        and item.kind not in (item.VAR_POSITIONAL, item.VAR_KEYWORD)
        and item.name not in injected
        and (item.name not in given or item.kind is item.POSITIONAL_ONLY)
    ]
    if missing:
        reason = (
            f"Task {task.task_name!r}: its {option} {callback.task_name!r} needs {', '.join(map(repr, missing))}, "
            f"but a callback is called with {', '.join(given)}, by name. Give it a default, or take it out."
        )
        raise ConfigurationError(reason=reason)


def _named_parameters(task: AnyTask) -> frozenset[str] | None:
    """What a task takes by name; None if that is everything."""
    parameters, injected = _signature(task), _injected(task)
    if any(item.kind is item.VAR_KEYWORD for item in parameters):
        return None
    by_name = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    return frozenset(item.name for item in parameters if item.kind in by_name and item.name not in injected)


def _signature(task: AnyTask) -> Sequence[inspect.Parameter]:
    try:
        return list(inspect.signature(task.original_func).parameters.values())
    except ValueError:  # some builtins have none: they check their arguments themselves
        return [inspect.Parameter("anything", inspect.Parameter.VAR_KEYWORD)]


def _injected(task: AnyTask) -> frozenset[str]:
    resolver = Resolver.of(task.original_func)
    return frozenset() if resolver is None else resolver.names


def _passed_on(parent: TaskiqMessage, task: AnyTask | None) -> dict[str, Any]:
    """What this one call was labelled with: a trace, a tenant. The labels of its task and ours say nothing of the callback."""
    own = {} if task is None else task.labels
    return {
        name: value
        for name, value in parent.labels.items()
        if not is_framework_label(name) and not (name in own and own[name] == value)
    }


def _id_of(task_id: str, how: str) -> str:
    whole = f"{task_id}:{how}"
    return whole if len(whole) <= _LONGEST_ID else f"{hashlib.sha256(task_id.encode()).hexdigest()}:{how}"
