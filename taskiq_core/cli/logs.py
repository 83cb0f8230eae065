"""How log lines look, for people and for machines.

Passwords never reach a log: every line, whoever wrote it, has the credentials of its URLs replaced.
"""

import contextlib
import json
import logging
import os
import re
import sys
import traceback
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, TextIO

import click

LEVELS: Final = ("debug", "info", "warning", "error", "critical")
FORMATS: Final = ("text", "json")

_PASSWORD = re.compile(r"(?<=://)([^\s/:@]*):[^\s/]*@")
_SECRET_PARAMETER = re.compile(r"([?&](?:password|passwd|pwd|token|secret)=)[^\s&'\"]+", re.IGNORECASE)
_STANDARD = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "taskName", "color_message"}
_COLOURS: Final = {logging.WARNING: "\x1b[33m", logging.ERROR: "\x1b[31m", logging.CRITICAL: "\x1b[1;31m"}


def redact(text: str) -> str:
    """The same text with the passwords of URLs replaced by `***`."""
    if "://" not in text:
        return text
    return _SECRET_PARAMETER.sub(r"\1***", _PASSWORD.sub(r"\1:***@", text))


def _extra(record: logging.LogRecord) -> dict[str, Any]:
    return {name: value for name, value in record.__dict__.items() if name not in _STANDARD and not name.startswith("_")}


def _exception(record: logging.LogRecord) -> str | None:
    if record.exc_info and record.exc_info[0] is not None:
        return "".join(traceback.format_exception(*record.exc_info)).rstrip("\n")
    return record.exc_text


class TextFormatter(logging.Formatter):
    """`2026-11-22 11:04:05.678 INFO     worker-1[4711] taskiq.worker: text key=value`, local time."""

    def __init__(self, process: str, *, colour: bool = False) -> None:
        super().__init__()
        self._process = process
        self._colour = colour

    def format(self, record: logging.LogRecord) -> str:
        """One line; a traceback or stack follows on lines of its own."""
        when = datetime.fromtimestamp(record.created).isoformat(sep=" ", timespec="milliseconds")
        level = f"{record.levelname:<8}"
        if self._colour and record.levelno in _COLOURS:
            level = f"{_COLOURS[record.levelno]}{level}\x1b[0m"
        line = f"{when} {level} {self._process}[{record.process}] {record.name}: {record.getMessage()}"
        line += "".join(f" {name}={value}" for name, value in _extra(record).items())
        rest = [part for part in (_exception(record), record.stack_info) if part]
        return redact("\n".join([line, *rest]))


class JsonFormatter(logging.Formatter):
    """One JSON object per line: ts (ISO 8601, UTC), level, logger, process, pid, message, exc, and the `extra` fields."""

    def __init__(self, process: str) -> None:
        super().__init__()
        self._process = process

    def format(self, record: logging.LogRecord) -> str:
        """One line, whatever the values are: what JSON does not know becomes text."""
        fields: dict[str, Any] = {
            "ts": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "process": self._process,
            "pid": record.process,
            "message": record.getMessage(),
        }
        optional = {"exc": _exception(record), "stack": record.stack_info}
        fields |= {name: value for name, value in optional.items() if value}
        fields |= {name: value for name, value in _extra(record).items() if name not in fields}
        return redact(json.dumps(fields, ensure_ascii=False, default=str))


def formatter(log_format: str, process: str, stream: TextIO) -> logging.Formatter:
    """The formatter of one of `FORMATS`; colours only on a terminal, and not if `NO_COLOR` is set."""
    if log_format == "json":
        return JsonFormatter(process)
    return TextFormatter(process, colour=stream.isatty() and not os.environ.get("NO_COLOR"))


def configure(level: str, log_format: str, process: str) -> None:
    """Send everything that is logged, Python's warnings included, to standard error; earlier handlers are dropped."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(formatter(log_format, process, sys.stderr))
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    logging.captureWarnings(True)


def keep_loggers() -> None:
    """Undo what `logging.config` does by default to loggers that were there before it: it disables them."""
    for name, logger in logging.root.manager.loggerDict.items():
        if isinstance(logger, logging.Logger) and name.startswith("taskiq"):
            logger.disabled = False


def report(reason: str, log_format: str) -> None:
    """Say on standard error why a command cannot start: plain text for people, a log line for machines."""
    if log_format == "json":
        logging.getLogger("taskiq.cli").critical(reason)
    else:
        click.echo(f"Error: {redact(reason)}", err=True)


def let_go_of_streams() -> None:
    """Flush standard output and error; what can no longer be written, as the terminal has gone, is dropped.

    Otherwise Python would try once more at its very end, fail, and make 120 of the exit code.
    """
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):
            with contextlib.suppress(OSError, ValueError), Path(os.devnull).open("w") as nothing:
                os.dup2(nothing.fileno(), stream.fileno())
