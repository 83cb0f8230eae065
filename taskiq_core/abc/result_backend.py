"""Where results live."""

from abc import ABC
from collections.abc import Mapping, Sequence
from typing import Any, Generic, Self

import anyio
from typing_extensions import TypeVar

from taskiq_core import clock
from taskiq_core.delivery import StoredResult
from taskiq_core.exceptions import ResultGetError
from taskiq_core.progress import TaskProgress
from taskiq_core.result import TaskiqResult
from taskiq_core.result_codec import dump_result, load_result

R = TypeVar("R", default=Any)


class AsyncResultBackend(ABC, Generic[R]):
    """Stores the results of tasks and lets others wait for them.

    Override one of each pair; the base class makes the other of it, and refuses a class with neither:

    * `set_results` (native: bytes, in batches) or `set_result` (Taskiq's: one object);
    * `get_results` (native) or `get_result` and `is_result_ready`.

    Override `wait_results` where the store can push; the default polls. Subclasses need not call `super().__init__()`.
    """

    keeps_results: bool = True
    """False where nothing is ever stored, so that waiting is refused rather than endless."""

    result_ttl: float | None = None
    """Seconds that a result is kept if its task does not say; None: for ever."""

    @property
    def serves_ttl(self) -> bool:
        """Whether each result may have a ttl of its own; backends that only have `set_result` never hear of it."""
        return type(self).set_results is not AsyncResultBackend.set_results

    def __new__(cls, *_: Any, **__: Any) -> Self:
        # At construction and not at class creation: plugins have bases of their own that leave a half to their subclasses.
        base = AsyncResultBackend
        if cls.set_results is base.set_results and cls.set_result is base.set_result:
            msg = f"{cls.__name__} must override set_results() or set_result(), else results have nowhere to go."
            raise TypeError(msg)
        if cls.get_results is base.get_results and cls.get_result is base.get_result:
            msg = f"{cls.__name__} must override get_results() or get_result(), else results cannot be read."
            raise TypeError(msg)
        if cls.get_results is base.get_results and cls.is_result_ready is base.is_result_ready:
            msg = f"{cls.__name__} overrides get_result() and so must override is_result_ready() too, or get_results() instead."
            raise TypeError(msg)
        return super().__new__(cls)

    async def startup(self) -> None:
        """Connect. Idempotent."""

    async def shutdown(self) -> None:
        """Disconnect. Idempotent."""

    # -- codec: plugins store bytes -------------------------------------------------------------------------------------

    def dump(self, result: TaskiqResult[Any]) -> bytes:
        """Bytes of a result.

        :raises ResultNotSerializableError: if the value cannot be expressed.
        """
        return dump_result(result)

    def load(self, body: bytes) -> TaskiqResult[Any]:
        """The result of `dump`'s bytes.

        :raises ResultUnreadableError: for any other bytes.
        """
        return load_result(body)

    def pack(self, task_id: str, result: TaskiqResult[Any], ttl: float | None = None) -> StoredResult:
        """What the worker hands to `set_results`; serialises only for backends that store bytes."""
        native = type(self).set_results is not AsyncResultBackend.set_results
        return StoredResult(task_id, self.dump(result) if native else b"", self.result_ttl if ttl is None else ttl, result)

    # -- writing ----------------------------------------------------------------------------------------------------------

    async def set_results(self, results: Sequence[StoredResult]) -> None:
        """Store a batch, all in one round trip; storing an id again replaces it.

        After an error the caller may repeat the batch, or parts of it, down to one result at a time, so that one that the
        store refuses does not keep the others out. This default stores one by one and ends at the first error.

        :raises ResultStoreAwayError: or another `OSError`, if the store cannot be reached; it is tried again for long.
        :raises ResultBackendError: or the driver's own error, if it could not; a result that fails so while others do not
            is taken for one that the store refuses.
        """
        for item in results:
            await self.set_result(item.task_id, item.result)

    async def set_result(self, task_id: str, result: TaskiqResult[R]) -> None:
        """Store one result."""
        await self.set_results([self.pack(task_id, result)])

    # -- reading ----------------------------------------------------------------------------------------------------------

    async def get_results(self, task_ids: Sequence[str]) -> Mapping[str, TaskiqResult[R]]:
        """Those of the results that exist, in one round trip."""
        return {task_id: await self.get_result(task_id) for task_id in task_ids if await self.is_result_ready(task_id)}

    async def get_result(self, task_id: str, with_logs: bool = False) -> TaskiqResult[R]:
        """One result.

        :raises ResultGetError: if it does not exist.
        """
        found = await self.get_results([task_id])
        if task_id not in found:
            raise ResultGetError
        return found[task_id]

    async def is_result_ready(self, task_id: str) -> bool:
        """Whether the result exists."""
        return task_id in await self.get_results([task_id])

    async def wait_results(self, task_ids: Sequence[str], timeout: float | None = None) -> Mapping[str, TaskiqResult[R]]:
        """Wait until at least one of the results exists and return those that do; empty after `timeout` seconds.

        Cancelling loses nothing. This default asks again in growing steps of 1 to 200 ms.
        """
        deadline = None if timeout is None else clock.monotonic() + timeout
        pause = 0.001
        while True:
            found = await self.get_results(task_ids)
            if found:
                return found
            left = pause if deadline is None else deadline - clock.monotonic()
            if left <= 0:
                return {}
            await anyio.sleep(min(pause, left))
            pause = min(pause * 1.5, 0.2)

    # -- progress ---------------------------------------------------------------------------------------------------------

    async def set_progress(self, task_id: str, progress: TaskProgress[Any]) -> None:
        """Store the last progress of a task; ignored by backends that do not keep any."""

    async def get_progress(self, task_id: str) -> TaskProgress[Any] | None:
        """The last progress, or None."""
        return None
