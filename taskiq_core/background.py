"""One task outside of every task group, for objects that run something between `startup()` and `shutdown()`."""

import asyncio
import logging
from collections.abc import Awaitable, Callable

import anyio
import anyio.lowlevel

logger = logging.getLogger("taskiq.background")


class BackgroundTask:
    """Runs `main` in the current event loop until it ends; an error is logged and kept in `error`.

    A task group cannot stay open after `startup()` returns, as it belongs to the task that opened it: hence this.
    """

    def __init__(self, main: Callable[[], Awaitable[None]], name: str) -> None:
        self._main = main
        self._name = name
        self._done = anyio.Event()
        self._scope = anyio.CancelScope()
        self._task: object = None
        self.error: BaseException | None = None
        """Why it ended, if it ended by an error."""
        loop = anyio.lowlevel.current_token().native_token
        if isinstance(loop, asyncio.AbstractEventLoop):
            self._task = loop.create_task(self._run(), name=name)
        else:
            import trio

            self._task = trio.lowlevel.spawn_system_task(self._run, name=name)

    async def _run(self) -> None:
        try:
            with self._scope:
                await self._main()
        except anyio.get_cancelled_exc_class():
            raise
        except BaseException as error:
            self.error = error
            logger.exception("%s ended after an error", self._name)
        finally:
            self._done.set()

    def cancel(self) -> None:
        """Ask it to end at once; `wait` waits for that."""
        self._scope.cancel()

    async def wait(self, deadline: float) -> None:
        """Wait for the end; cancel after `deadline` seconds."""
        with anyio.move_on_after(deadline):
            await self._done.wait()
        self.cancel()
        with anyio.CancelScope(shield=True):
            await self._done.wait()
