"""What log lines look like."""

import io
import json
import logging
from collections.abc import Callable
from datetime import datetime

import pytest

from taskiq_core.cli.logs import JsonFormatter, TextFormatter, keep_loggers, redact

Log = Callable[[logging.Formatter, Callable[[logging.Logger], None]], str]


@pytest.fixture
def log() -> Log:
    def written(formatter: logging.Formatter, act: Callable[[logging.Logger], None]) -> str:
        stream = io.StringIO()
        handler = logging.StreamHandler(stream)
        handler.setFormatter(formatter)
        logger = logging.Logger("app.mail")
        logger.addHandler(handler)
        act(logger)
        return stream.getvalue()

    return written


def fail(logger: logging.Logger) -> None:
    try:
        raise ValueError("amqp://guest:secret@host/ is down")
    except ValueError:
        logger.exception("failed", extra={"task_id": "abc", "task_name": "mail:send"})


def test_a_text_line_has_time_level_process_logger_message_and_fields(log: Log) -> None:
    line = log(TextFormatter("worker"), lambda logger: logger.warning("took %d s", 3, extra={"task_id": "abc"}))
    date, time, level, process, name, *words = line.split()
    datetime.fromisoformat(f"{date} {time}")
    assert (level, name, words) == ("WARNING", "app.mail:", ["took", "3", "s", "task_id=abc"])
    assert process.startswith("worker[")


def test_a_traceback_follows_the_line(log: Log) -> None:
    lines = log(TextFormatter("worker"), fail).splitlines()
    assert lines[0].endswith("failed task_id=abc task_name=mail:send")
    assert lines[1] == "Traceback (most recent call last):"


def test_a_json_line_is_one_object_with_the_extra_fields(log: Log) -> None:
    text = log(JsonFormatter("worker"), fail)
    assert text.count("\n") == 1
    fields = json.loads(text)
    assert fields["level"] == "error"
    assert fields["logger"] == "app.mail"
    assert fields["message"] == "failed"
    assert (fields["task_id"], fields["task_name"]) == ("abc", "mail:send")
    assert fields["exc"].startswith("Traceback")
    assert datetime.fromisoformat(fields["ts"]).utcoffset() is not None
    assert isinstance(fields["pid"], int)


def test_values_that_json_does_not_know_become_text(log: Log) -> None:
    text = log(JsonFormatter("worker"), lambda logger: logger.info("x", extra={"what": {1, 2}}))
    assert json.loads(text)["what"] == "{1, 2}"


@pytest.mark.parametrize("formatter", [TextFormatter("worker"), JsonFormatter("worker")])
def test_no_line_shows_a_password(log: Log, formatter: logging.Formatter) -> None:
    url = "redis://:secret@host:6379/0"
    text = log(formatter, lambda logger: logger.info("using %s", url, extra={"urls": [url, {"deep": url}], "url": url}))
    text += log(formatter, fail)
    assert "secret" not in text
    assert "redis://:***@host:6379/0" in text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("amqp://guest:guest@host:5672/vhost", "amqp://guest:***@host:5672/vhost"),
        ("postgresql://me:p@ss'w@db/x", "postgresql://me:***@db/x"),
        ("redis://h/0?password=abc&x=1", "redis://h/0?password=***&x=1"),
        ("sqlite:///jobs.db", "sqlite:///jobs.db"),
        ("see http://host:80/ or mail me@example.org", "see http://host:80/ or mail me@example.org"),
        ("amqp://a:1@h,amqp://b:2@i", "amqp://a:***@h,amqp://b:***@i"),
    ],
)
def test_redact(text: str, shown: str) -> None:
    assert redact(text) == shown


def test_colours_only_where_asked(log: Log) -> None:
    assert "\x1b" not in log(TextFormatter("worker"), lambda logger: logger.error("x"))
    assert "\x1b[31m" in log(TextFormatter("worker", colour=True), lambda logger: logger.error("x"))


def test_an_application_that_configures_logging_does_not_silence_us() -> None:
    ours = logging.getLogger("taskiq.some_room")
    theirs = logging.getLogger("app.some_room")
    ours.disabled = theirs.disabled = True
    keep_loggers()
    assert (ours.disabled, theirs.disabled) == (False, True)
    theirs.disabled = False
