"""Work elsewhere that now and then needs the thread of the caller, who waits for it."""

import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from contextvars import copy_context
from typing import Any, Final, TypeVar

import anyio
from anyio.lowlevel import current_token

T = TypeVar("T")

_GONE: Final = "the thread that this was to run in waits no longer"


class CallersThread:
    """One call: `serve` in the thread of the caller, `run` from the event loop that does the work."""

    def __init__(self) -> None:
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._left = False

    def serve(self, work: Callable[[], T]) -> T:
        """Run `work` in a thread of its own, in this context, and meanwhile do here what it asks for."""
        ended: Future[T] = Future()

        def elsewhere() -> None:
            try:
                ended.set_result(work())
            except BaseException as error:  # noqa: BLE001 - it belongs to the caller
                ended.set_exception(error)
            finally:
                self._jobs.put(None)

        threading.Thread(target=copy_context().run, args=(elsewhere,), name="taskiq-sync-send", daemon=True).start()
        try:
            while (job := self._jobs.get()) is not None:
                job.do()
        finally:
            self._leave()
        return ended.result()

    async def run(self, work: Callable[[], object]) -> None:
        """Have `work` done in the thread of the caller; raises what it raises. Cancelling leaves it undone, or done.

        :raises RuntimeError: if the caller waits no longer, as after Ctrl-C.
        """
        native: Any = current_token().native_token
        threadsafe: Callable[[Callable[[], Any]], Any] = getattr(native, "call_soon_threadsafe", None) or native.run_sync_soon
        done = anyio.Event()
        job = _Job(work, lambda: threadsafe(done.set))
        with self._lock:
            if self._left:
                raise RuntimeError(_GONE)
            self._jobs.put(job)
        try:
            await done.wait()
        except BaseException:
            job.dropped = True
            raise
        if job.error is not None:
            raise job.error

    def _leave(self) -> None:
        with self._lock:
            self._left = True
        with suppress(queue.Empty):
            while True:
                if (job := self._jobs.get_nowait()) is not None:
                    job.refuse()


class _Job:
    def __init__(self, work: Callable[[], object], wake: Callable[[], object]) -> None:
        self._work = work
        self._wake = wake
        self.dropped = False
        self.error: BaseException | None = None

    def do(self) -> None:
        """In the caller's thread. What interrupts the caller interrupts it here too."""
        try:
            if not self.dropped:
                self._work()
        except Exception as error:  # noqa: BLE001 - it belongs to who asked
            self.error = error
        except BaseException:
            self.error = RuntimeError(_GONE)
            raise
        finally:
            self._tell()

    def refuse(self) -> None:
        """Nobody will do it."""
        self.error = RuntimeError(_GONE)
        self._tell()

    def _tell(self) -> None:
        with suppress(RuntimeError):  # its event loop has ended meanwhile
            self._wake()
