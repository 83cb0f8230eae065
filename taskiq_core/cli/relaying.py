"""The relay process."""

import logging
from collections.abc import Sequence
from typing import Any, Final, NoReturn

import anyio

from taskiq_core.broker import AsyncBroker
from taskiq_core.cli import logs
from taskiq_core.cli.app import import_modules, load_broker
from taskiq_core.cli.exit_codes import STOPPED
from taskiq_core.cli.reference import find_reference
from taskiq_core.cli.running import run_and_leave, run_engine, run_loop
from taskiq_core.exceptions import ConfigurationError
from taskiq_core.outbox import Outbox
from taskiq_core.worker.backoff import Backoff
from taskiq_core.worker.relay import Relay

logger = logging.getLogger("taskiq.process")

_SHUTDOWN: Final = 1.0
"""Seconds for disconnecting."""


class RelayEngine:
    """A relay with the start and the end of its broker, that stops as a worker does."""

    def __init__(self, broker: AsyncBroker, outbox: Outbox, *, grace: float, burst: bool) -> None:
        self._broker = broker
        self._relay = Relay(broker, outbox, grace=grace, burst=burst)
        self._starting: anyio.CancelScope | None = None
        self._stopped = False

    async def run(self) -> None:
        """Return after a graceful stop. A broker that cannot be reached is tried until it is, or a stop.

        :raises ConfigurationError: for one that can never be used so.
        """
        try:
            if not self._stopped:
                with anyio.CancelScope() as self._starting:
                    backoff = Backoff(logger, "The broker can be used")
                    await backoff.start(self._broker.startup, self._shut_down, "The broker cannot be used yet; trying again")
            if not self._stopped:
                await self._relay.run()
        finally:
            await self._shut_down()

    async def _shut_down(self) -> None:
        with anyio.move_on_after(_SHUTDOWN, shield=True):
            await self._broker.shutdown()

    def stop(self, *, now: bool = False) -> None:
        """Stop, `now` without waiting for what is under way; may be called again."""
        self._stopped = True
        if self._starting is not None:
            self._starting.cancel()
        self._relay.stop(now=now)


def run_relay(arguments: Sequence[str], options: dict[str, Any]) -> NoReturn:
    """Run until a signal comes, and end the process."""
    run_and_leave(lambda: _run(arguments, options), "relay", lambda reason: logs.report(reason, options["log_format"]))


def _run(arguments: Sequence[str], options: dict[str, Any]) -> int:
    app, modules = find_reference(arguments)
    broker = load_broker(app)
    import_modules(modules)
    logs.keep_loggers()
    if broker.outbox is None:
        raise ConfigurationError(reason=f"The broker of {app} has no outbox: give it one, with_outbox(...), or run no relay.")
    engine = RelayEngine(broker, broker.outbox, grace=options["grace"], burst=options["burst"])
    logger.info("Relay of %s", app)

    async def main() -> None:
        await run_engine(engine, grace=options["grace"])

    run_loop(main, options["loop"])
    return STOPPED
