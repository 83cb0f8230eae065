"""Whatever comes: an error result or a dead letter that says why, a worker that lives, and the next task runs (G6)."""

import re
import sqlite3
from collections.abc import Iterator

import pytest
from arena import Arena
from crash_stores import SQLiteStore
from crash_support import alone, on_every_store, on_sqlite

from taskiq_core.defaults import DEFAULT_QUEUE, MAX_MESSAGE_SIZE
from taskiq_core.exceptions import ArgumentError, MessageTooLargeError, ResultNotSerializableError, UnknownTaskError
from taskiq_core.wire import pack
from taskiq_core_brokers_sqlite.schema import READY

pytestmark = pytest.mark.crash


@pytest.fixture
def served(arena: Arena) -> Iterator[Arena]:
    """An arena with one worker, which must live on and run another task after each test."""
    with arena.worker("--concurrency", "4") as worker, alone(arena, worker):
        yield arena


BAD_BODIES = {
    "garbage": (b"\x00\xff garbage \xc1", "cannot be decoded"),
    "nothing": (b"", "cannot be decoded"),
    "text": (b"hello", "cannot be decoded"),
    "half a message": (pack([1, "id", "quick", {}, ["k"], {}])[:-3], "cannot be decoded"),
    "newer version": (pack([99, "id", "quick", {}, ["k"], {}]), "version 99"),
    "too few fields": (pack([1, "id", "quick"]), "6 fields"),
    "fields of wrong types": (pack([1, 7, ["quick"], None, "args", 0]), "must be str"),
    "JSON of another kind": (b'{"task": "quick"}', "is missing"),
    "broken JSON": (b'{"task_id": ', "cannot be decoded"),
    "half a character as id": (
        b'{"task_id": "\\ud800", "task_name": "quick", "labels": {}, "args": ["k"], "kwargs": {}}',
        "must be Unicode",
    ),
    "half a character as name": (
        b'{"task_id": "h", "task_name": "\\ud800", "labels": {}, "args": ["k"], "kwargs": {}}',
        "must be Unicode",
    ),
    "nested without end": (b"\x91" * 100_000, "cannot be decoded"),
    "nested JSON": (b'{"task_id": ' + b"[" * 100_000, "cannot be decoded"),
}


@on_every_store
def test_bytes_that_are_no_message_become_dead_letters_with_the_reason(served: Arena) -> None:
    served.put(*(body for body, _ in BAD_BODIES.values()))
    served.wait_empty()
    reasons = {letter.body: letter.reason for letter in served.dead_letters()}
    for name, (body, reason) in BAD_BODIES.items():
        assert reason in reasons.get(body, "no dead letter"), name


BAD_LABELS = [
    ("picky", {"_retries": "many", "timeout": "long"}),
    ("picky", {"_retries": "many"}),
    ("requeue", {"X-Taskiq-requeue": "many"}),
    ("quick", {"ack_type": "??"}),
    ("quick", {"result_ttl": "long"}),
    ("quick", {"store_result": "perhaps"}),
    ("aside", {"timeout": "long"}),
    ("nobody knows me", {"_unknown": "many"}),
]


@on_sqlite
def test_labels_that_cannot_be_read_fail_their_task_only(served: Arena) -> None:
    served.put(*(pack([1, f"labels-{n}", name, labels, [], {}]) for n, (name, labels) in enumerate(BAD_LABELS)))
    for number, result in enumerate(served.results([f"labels-{number}" for number in range(len(BAD_LABELS))])):
        assert result.is_err, BAD_LABELS[number]


@on_sqlite
def test_bytes_that_somebody_else_has_put_into_the_table(served: Arena[SQLiteStore]) -> None:
    conn = sqlite3.connect(served.store.db, timeout=10)
    with conn:
        row = ("x", DEFAULT_QUEUE, 5, READY, b"\xde\xad")
        conn.execute("INSERT INTO taskiq_messages (task_id, queue, priority, state, body) VALUES (?, ?, ?, ?, ?)", row)
    conn.close()
    (letter,) = served.wait_dead_letters(1)
    assert letter.body == b"\xde\xad"
    assert "cannot be decoded" in letter.reason


@on_sqlite
def test_arguments_that_do_not_fit(served: Arena) -> None:
    ids = served.send("quick", ("k", "one too many"), ()) + served.send("twice", ("seven",))
    errors = [result.error for result in served.results(ids)]
    assert [type(error) for error in errors] == [ArgumentError] * 3
    assert "'number' does not fit int" in str(errors[2])
    assert list(served.ledger().starts) == ["before"]


@on_every_store
def test_twenty_megabytes_run(served: Arena) -> None:
    ids = served.send("measure", ("large", b"x" * 20_000_000))
    assert served.results(ids)[0].return_value == 20_000_000


@on_sqlite
def test_more_than_the_limit_is_refused_at_the_send(served: Arena) -> None:
    with pytest.raises(MessageTooLargeError, match=str(MAX_MESSAGE_SIZE)) as refusal:
        served.send("measure", ("huge", bytes(MAX_MESSAGE_SIZE)))
    assert refusal.value.outcome == "refused"
    assert refusal.value.size > MAX_MESSAGE_SIZE


@on_sqlite
def test_a_result_that_cannot_be_serialised(served: Arena) -> None:
    (result,) = served.results(served.send("unstorable", ()))
    assert isinstance(result.error, ResultNotSerializableError)
    assert "unstorable" in str(result.error)
    assert "object" in str(result.error)


BAD_ENDINGS = {
    "picky": "PickyError.*42: no",
    "mute": "MuteError",
    "leave": "SystemExit",
    "sync_leave": "SystemExit",
    "interrupt": "KeyboardInterrupt",
    "sync_stop_iteration": "StopIteration",
    "recurse": "RecursionError",
    "undecodable_text": "FileNotFoundError",
    "deep_chain": "ValueError",
    "stray_cancel": "TaskCancelledError",
}


def test_exceptions_of_every_kind_become_error_results(served: Arena) -> None:
    ids = {name: served.send(name, ())[0] for name in BAD_ENDINGS}
    errors = {}
    for name, task_id in ids.items():
        result = served.results([task_id])[0]
        assert result.is_err, name
        errors[name] = f"{type(result.error).__name__} {result.error!r}"
    for name, pattern in BAD_ENDINGS.items():
        assert re.search(pattern, errors[name]), (name, errors[name])
    assert served.store.largest_result() < 100_000


def test_a_reason_that_no_database_can_hold(served: Arena) -> None:
    (result,) = served.results(served.send("reject_badly", ()))
    assert result.is_err
    (letter,) = served.wait_dead_letters(1)
    assert "caf" in letter.reason


def test_an_unknown_task_is_passed_on_and_then_dead_lettered(arena: Arena) -> None:
    program = """
import anyio, crash_app
from taskiq_core import Worker, WorkerSettings
anyio.run(Worker(crash_app.broker, WorkerSettings(max_deliveries=2)).run)
"""
    (unknown,) = arena.send("nobody_knows_me", ("k",))
    with arena.script(program) as worker, alone(arena, worker):
        (result,) = arena.results([unknown])
        assert isinstance(result.error, UnknownTaskError)
        (letter,) = arena.dead_letters()
        assert "nobody_knows_me" in letter.reason
