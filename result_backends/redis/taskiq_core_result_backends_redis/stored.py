"""The connection behind the parts of the backend."""

from taskiq_core.exceptions import ResultBackendError
from taskiq_core_brokers_redis.line import Line
from taskiq_core_brokers_redis.location import Location


class OnRedis:
    """Something that keeps its state in Redis and uses a connection while it is started."""

    location: Location
    """Where the keys are. A subscription at the same place stores results by itself."""
    commands: Line | None = None
    """Open between `startup` and `shutdown`."""

    def require_commands(self) -> Line:
        """The connection for commands that answer at once.

        :raises ResultBackendError: if it is not started.
        """
        if self.commands is None:
            msg = f"the Redis result backend at {self.location.place} is not started: call `await broker.startup()` first."
            raise ResultBackendError(msg)
        return self.commands
