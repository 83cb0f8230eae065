"""Trouble is told once, and so is its end."""

import logging

import pytest

from taskiq_core.exceptions import BrokerError
from taskiq_core.outage import Outage

logger = logging.getLogger("taskiq.test")


@pytest.fixture(autouse=True)
def _everything_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, logger.name)


def test_each_outage_is_told_when_it_begins_and_when_it_is_over(caplog: pytest.LogCaptureFixture) -> None:
    outage = Outage(logger, "Messages are received again")
    outage.over()
    for _ in range(2):
        for _ in range(3):
            outage.say("Messages cannot be received, trying again", ConnectionError("no server"))
        outage.over()
        outage.over()
    told = [(record.levelname, record.getMessage().partition(" after ")[0]) for record in caplog.records]
    trouble = "Messages cannot be received, trying again: ConnectionError: no server"
    once = [("WARNING", trouble), ("DEBUG", trouble), ("DEBUG", trouble), ("INFO", "Messages are received again")]
    assert told == 2 * once


@pytest.mark.parametrize(
    ("error", "traces", "traced"),
    [(ValueError("x"), True, 1), (BrokerError(reason="x"), True, 0), (ValueError("x"), False, 0)],
)
def test_a_traceback_comes_once_and_where_it_helps(
    caplog: pytest.LogCaptureFixture, error: Exception, traces: bool, traced: int
) -> None:
    outage = Outage(logger, "It goes on", traces=traces)
    outage.say("It does not go on", error)
    outage.say("It does not go on", error)
    assert len([record for record in caplog.records if record.exc_info]) == traced
