"""Whose doing a cancellation is."""

import asyncio
import math

import anyio


def is_stopped() -> bool:
    """Whether somebody around the calling task has cancelled it: what is raised then is the stop's doing, not the task's.

    A cancellation that nobody asked for is the task's own doing: it awaited something that was cancelled.
    """
    if anyio.current_effective_deadline() == -math.inf:
        return True
    try:
        task = asyncio.current_task()
    except RuntimeError:  # trio, where only scopes cancel
        return False
    return task is not None and task.cancelling() > 0
