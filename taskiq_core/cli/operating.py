"""How a command that does one thing runs, most of them on an application's broker."""

from collections.abc import Awaitable, Callable, Sequence
from typing import NoReturn

from taskiq_core.broker import AsyncBroker
from taskiq_core.capability import Capability
from taskiq_core.cli import logs
from taskiq_core.cli.app import load_broker
from taskiq_core.cli.exit_codes import CRASHED, STOPPED, WRONG_CONFIGURATION
from taskiq_core.cli.reference import find_reference
from taskiq_core.cli.running import leave, run_loop
from taskiq_core.exceptions import ConfigurationError, TaskiqError

Prepare = Callable[[str, AsyncBroker, tuple[str, ...]], Callable[[], Awaitable[None]]]
"""Gets the name of the application, its broker, and what stood after the name; checks them, and returns what is to be done."""


def do_and_leave(act: Callable[[], int], name: str) -> NoReturn:
    """Do it, and end the process with the code that `act` returns or its error means. `name` is that of the command in logs."""
    logs.configure("warning", "text", name)
    try:
        code = act()
    except TaskiqError as error:
        logs.report(str(error), "text")
        code = WRONG_CONFIGURATION if isinstance(error, ConfigurationError) else CRASHED
    leave(code)


def operate(arguments: Sequence[str], prepare: Prepare, name: str) -> NoReturn:
    """`do_and_leave` on the started broker that `arguments` begin with."""
    do_and_leave(lambda: _operate(arguments, prepare), name)


def _operate(arguments: Sequence[str], prepare: Prepare) -> int:
    app, others = find_reference(arguments)
    broker = load_broker(app)
    logs.keep_loggers()
    work = prepare(app, broker, others)

    async def main() -> None:
        async with broker:
            await work()

    run_loop(main, "auto")
    return STOPPED


def require_shared(app: str, broker: AsyncBroker) -> None:
    """Refuse a broker whose messages no other process sees.

    :raises ConfigurationError: then.
    """
    if Capability.CROSS_PROCESS not in broker.capabilities:
        raise ConfigurationError(reason=f"{app} keeps its messages in one process: from another one there is nothing to see.")
