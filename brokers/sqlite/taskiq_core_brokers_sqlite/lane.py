"""A thread that does jobs in order for tasks of any event loop.

About twice as cheap as a worker thread from a pool, and, unlike that, a caller that is cancelled knows what becomes of its
job: one that has not been done is dropped, one that has been done is undone.
"""

import contextlib
import queue
import threading
from collections.abc import Callable
from typing import Any, Generic, TypeVar

import anyio
from anyio.lowlevel import current_token

T = TypeVar("T")


class Job(Generic[T]):
    """One piece of work; `work` is given the job, so that it can ask whether it is still wanted."""

    def __init__(self, work: "Callable[[Job[T]], T]", undo: Callable[[T], None] | None = None) -> None:
        self.given_up = False
        self._work, self._undo = work, undo
        self._lock = threading.Lock()
        self._done = False
        self._result: list[T] = []
        self._error: BaseException | None = None
        self._wake: Callable[[], Any] = lambda: None

    def run(self) -> None:
        """Do it, in the lane's thread. Never raises."""
        try:
            if not self.given_up:
                self._result.append(self._work(self))
        except BaseException as error:  # noqa: BLE001 - it belongs to the caller, not to the lane
            self._error = error
        with self._lock:
            self._done = True
            undo = self.given_up
        if undo:
            self._take_back()
        with contextlib.suppress(RuntimeError):  # the caller's loop has ended meanwhile
            self._wake()

    def give_up(self) -> bool:
        """Nobody wants the result any more; True if the work was done before, so that the lane must take it back."""
        with self._lock:
            self.given_up = True
            return self._done

    def result(self) -> T:
        """What the work returned or raised."""
        if self._error is not None:
            raise self._error
        return self._result[0]

    def notify(self, wake: Callable[[], Any]) -> None:
        """Have `wake` called, in the lane's thread, when the job is done. To be set before it is submitted."""
        self._wake = wake

    def _take_back(self) -> None:
        if self._undo is not None and self._result:
            with contextlib.suppress(Exception):  # what cannot be undone is found by its lease
                self._undo(self._result[0])

    def taking_back(self) -> "Job[None]":
        """A job that undoes this one."""
        return Job(lambda _: self._take_back())


class Lane:
    """The thread. It starts with the first job and ends with `close`."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._jobs: queue.SimpleQueue[Job[Any] | None] = queue.SimpleQueue()
        self.idle = threading.Lock()
        """Held while a job runs."""
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    async def run(self, work: Callable[[Job[T]], T], undo: Callable[[T], None] | None = None, *, detached: bool = False) -> T:
        """Do `work` in the thread and return what it returns.

        Cancelling gives the job up: it is skipped, or left uncommitted, or undone. `detached` lets it go on instead.
        """
        native: Any = current_token().native_token
        threadsafe: Callable[[Callable[[], Any]], Any] = getattr(native, "call_soon_threadsafe", None) or native.run_sync_soon
        done = anyio.Event()
        job = Job(work, undo)
        job.notify(lambda: threadsafe(done.set))
        self.submit(job)
        try:
            await done.wait()
        except BaseException:
            if not detached and job.give_up():
                self.submit(job.taking_back())
            raise
        return job.result()

    def run_from_thread(self, work: Callable[[Job[T]], T], timeout: float) -> T:
        """The same for a plain thread; must not be called on an event loop.

        :raises TimeoutError: after `timeout` seconds; the job is given up then.
        """
        done = threading.Event()
        job = Job(work)
        job.notify(done.set)
        self.submit(job)
        if not done.wait(timeout):
            job.give_up()
            raise TimeoutError
        return job.result()

    def submit(self, job: Job[Any]) -> None:
        """Queue a job that nobody waits for."""
        self._jobs.put(job)
        if self._thread is None:
            with self._lock:
                if self._thread is None:
                    self._thread = threading.Thread(target=self._work, name=self._name, daemon=True)
                    self._thread.start()

    def close(self) -> None:
        """End the thread after the jobs that are queued; does not wait."""
        self._jobs.put(None)

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            with self.idle:
                job.run()
