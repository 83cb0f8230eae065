"""Fixtures of the RabbitMQ tests; a conftest.py imports them by name."""

from collections.abc import Callable

import pytest
from support.rabbitmq_server import RabbitServer
from support.server_fixtures import shared_url_of, starter_of
from support.shared_server import fresh_prefix

StartRabbit = Callable[..., RabbitServer]

rabbitmq_url = shared_url_of(RabbitServer)
rabbitmq_prefix = pytest.fixture(fresh_prefix)
start_rabbitmq = starter_of(RabbitServer)
