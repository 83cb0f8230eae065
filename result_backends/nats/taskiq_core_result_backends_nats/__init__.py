"""NATS result backend for taskiq_core."""

from taskiq_core_result_backends_nats.results import NatsResultBackend

__all__ = ["NatsResultBackend"]
