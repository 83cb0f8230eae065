"""Errors as people read them: one line, or a traceback without our frames above the task's."""

import traceback
from pathlib import Path
from types import TracebackType

_WORKER = str(Path(__file__).parent)
_OURS = str(Path(__file__).parent.parent)


def users_frames(error: BaseException) -> TracebackType | None:
    """The traceback from the first frame that is not ours on; None where there is none, as for arguments that do not fit."""
    frame = first = error.__traceback__
    while frame is not None:  # a thread's frames, of the event loop too, stand between two of the worker's
        if _is_in(_WORKER, frame):
            first = frame.tb_next
        frame = frame.tb_next
    while first is not None and _is_in(_OURS, first):
        first = first.tb_next
    return first


def _is_in(folder: str, frame: TracebackType) -> bool:
    return frame.tb_frame.f_code.co_filename.startswith(folder)


def format_error(error: BaseException) -> str:
    """The whole text, causes included.

    :raises Exception: whatever an exception's own fields make of it.
    """
    return "".join(traceback.format_exception(type(error), error, users_frames(error)))


def traceback_of(error: BaseException) -> str:
    """The same; where that cannot be had, one line."""
    try:
        return format_error(error)
    except Exception:  # noqa: BLE001 - there are exceptions whose own fields break the formatting
        return describe(error)


def log_info(error: BaseException) -> tuple[type[BaseException], BaseException, TracebackType | None]:
    """The error as `exc_info` of a log record."""
    return type(error), error, users_frames(error)


def describe(error: BaseException) -> str:
    """One line about an error that every store can hold, also about one that cannot be printed."""
    try:
        text = str(error)
    except Exception:  # noqa: BLE001 - its own `__str__`
        text = "it cannot be printed"
    return f"{type(error).__name__}: {text}".encode(errors="backslashreplace").decode()
