"""What goes wrong between a plugin and its server."""

from taskiq_core.exceptions import BrokerError


class ServerError(BrokerError):
    """A server could not be reached or used; the text says what to do. Plugins of a server have a subclass of their own.

    `certain` is False where something may have taken effect although its answer is missing. `passing` is True where trying
    again may help without anybody's doing.
    """

    __template__ = "{reason}"
    reason: str
    certain: bool = True
    passing: bool = False
