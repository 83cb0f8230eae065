"""Middlewares that come with the package."""

from taskiq_core.middlewares.simple_retry import SimpleRetryMiddleware
from taskiq_core.middlewares.smart_retry import SmartRetryMiddleware

__all__ = ["SimpleRetryMiddleware", "SmartRetryMiddleware"]
