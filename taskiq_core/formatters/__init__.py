"""How messages look on the wire."""

from taskiq_core.formatters.json_formatter import JSONFormatter
from taskiq_core.formatters.msgpack_formatter import MsgpackFormatter
from taskiq_core.formatters.proxy_formatter import ProxyFormatter

__all__ = ["JSONFormatter", "MsgpackFormatter", "ProxyFormatter"]
