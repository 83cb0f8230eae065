"""What a broker is made of beside its transport, and how to change it."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Self, cast

from taskiq_core.abc.coordinator import Coordinator
from taskiq_core.abc.formatter import TaskiqFormatter
from taskiq_core.abc.middleware import TaskiqMiddleware
from taskiq_core.abc.records import RecordStore
from taskiq_core.abc.result_backend import AsyncResultBackend
from taskiq_core.abc.sender import Sender
from taskiq_core.abc.serializer import TaskiqSerializer
from taskiq_core.formatters.msgpack_formatter import MsgpackFormatter
from taskiq_core.middleware_chain import MiddlewareChain
from taskiq_core.retry import Retry
from taskiq_core.routes import Route, RouteFields, Routes
from taskiq_core.serializers.json_serializer import JSONSerializer
from taskiq_core.state import TaskiqState


class BrokerParts:
    """Attributes of every broker, each with a `with_*` that sets it and returns the broker."""

    def __init__(self, result_backend: AsyncResultBackend[Any], task_id_generator: Callable[[], str]) -> None:
        self.result_backend = result_backend
        self.records: RecordStore | None = None
        self.default_retry: Retry | None = None
        """For tasks without a policy of their own or of a middleware."""
        self.id_generator = task_id_generator
        self.serializer: TaskiqSerializer = JSONSerializer()
        self.formatter: TaskiqFormatter = MsgpackFormatter()
        self.chain = MiddlewareChain(())
        self.state = TaskiqState()
        self.dependency_overrides: dict[Any, Any] = {}
        self.custom_dependency_context: dict[Any, Any] = {}
        self._coordinator: Coordinator | None = None
        self._routes: Routes | None = None

    @property
    def coordinator(self) -> Coordinator | None:
        """The shared state on which limits, uniqueness and cancelling stand: the result backend, where it is one."""
        if self._coordinator is not None:
            return self._coordinator
        return self.result_backend if isinstance(self.result_backend, Coordinator) else None

    @property
    def routes(self) -> Routes | None:
        """Where tasks go by their names; None: where their options say."""
        return self._routes

    def with_result_backend(self, result_backend: AsyncResultBackend[Any]) -> Self:
        """Where results go."""
        self.result_backend = result_backend
        return self

    def with_coordinator(self, coordinator: Coordinator) -> Self:
        """Where shared state is, if not in the result backend. It is started and shut down by whoever made it."""
        self._coordinator = coordinator
        return self

    def with_records(self, records: RecordStore) -> Self:
        """Where status transitions go; without it none are recorded."""
        self.records = records
        return self

    def with_retry(self, retry: Retry | int) -> Self:
        """How tasks are retried that say nothing themselves, and for which no middleware speaks."""
        self.default_retry = retry if isinstance(retry, Retry) else Retry(retry)
        return self

    def with_routes(self, routes: Mapping[str, Route | RouteFields]) -> Self:
        """Queue, priority and delay by task names or patterns: `{"reports.*": {"queue": "io"}}`.

        An exact name beats patterns, and the first pattern that fits wins. A route beats the task's options, and what is said
        for one send beats the route. It holds for every send of this process, in place of routes given before.

        :raises ConfigurationError: for a route that cannot be read.
        """
        self._routes = Routes(routes)
        return self

    def with_id_generator(self, task_id_generator: Callable[[], str]) -> Self:
        """How task ids are made."""
        self.id_generator = task_id_generator
        return self

    def with_serializer(self, serializer: TaskiqSerializer) -> Self:
        """How `ProxyFormatter` writes bodies."""
        self.serializer = serializer
        return self

    def with_formatter(self, formatter: TaskiqFormatter) -> Self:
        """What bodies look like."""
        self.formatter = formatter
        return self

    def with_middlewares(self, *middlewares: TaskiqMiddleware) -> Self:
        """Add middlewares, after those already there. Things that are none are left out with a warning."""
        known = self.chain.middlewares
        self.chain = MiddlewareChain((*known, *middlewares))
        for middleware in self.chain.middlewares[len(known) :]:
            middleware.set_broker(cast("Sender", self))
        return self

    @property
    def middlewares(self) -> Sequence[TaskiqMiddleware]:
        """All middlewares, in order."""
        return self.chain.middlewares

    def add_middlewares(self, *middlewares: TaskiqMiddleware) -> None:
        """Taskiq's name for `with_middlewares`."""
        self.with_middlewares(*middlewares)

    def add_dependency_context(self, values: Mapping[Any, Any]) -> None:
        """Let tasks depend on these types; the mapping is type to value."""
        self.custom_dependency_context.update(values)
