"""Dependency injection: markers in signatures, compiled into plans, resolved per message."""

from taskiq_core.depends.graph import Plan, compile_plan
from taskiq_core.depends.progress_tracker import Progress, ProgressTracker
from taskiq_core.depends.resolver import Resolver
from taskiq_core.marker import TaskiqDepends

__all__ = ["Plan", "Progress", "ProgressTracker", "Resolver", "TaskiqDepends", "compile_plan"]
