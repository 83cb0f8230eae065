"""What others put into the streams: a dead letter that says why, and the next task runs (G6)."""

from collections.abc import Iterator

import pytest
from arena import Arena, wait_until
from crash_support import alone, on_redis
from server_stores import RedisStore

from taskiq_core.wire import pack

pytestmark = [pytest.mark.crash, on_redis]

STREAM = "{taskiq}:q:default:5"

FOREIGN: dict[str, dict[bytes, bytes]] = {
    "one field": {b"hello": b"world"},
    "two fields": {b"b": b"body", b"i": b"id"},
    "three fields of others": {b"x": b"1", b"y": b"2", b"z": b"3"},
    "more fields": {b"b": b"body", b"i": b"more", b"m": b"", b"n": b"1"},
    "another order": {b"i": b"order", b"m": b"", b"b": b"body"},
    "no numbers in the meta": {b"b": b"body", b"i": b"meta", b"m": b"many few"},
    "meta of bytes": {b"b": b"body", b"i": b"bytes", b"m": b"\xff\xfe"},
    "level that is none": {b"b": b"body", b"i": b"level", b"m": b"1 0 0 high"},
    "empty": {b"": b""},
}


@pytest.fixture
def served(arena: Arena[RedisStore]) -> Iterator[Arena[RedisStore]]:
    with arena.worker("--concurrency", "4") as worker, alone(arena, worker):
        yield arena


def test_entries_that_are_none_of_ours(served: Arena[RedisStore]) -> None:
    for count, (name, fields) in enumerate(FOREIGN.items(), start=1):
        with served.store.client() as client:
            client.xadd(STREAM, fields)
        letters = served.wait_dead_letters(count)
        assert all("cannot be decoded" in letter.reason for letter in letters), name
        served.wait_empty()


def test_bytes_in_our_format(served: Arena[RedisStore]) -> None:
    bodies = [b"", b"\x00\xff garbage \xc1", pack([1, "id", "quick", {}, ["k"], {}])[:-3]]
    with served.store.client() as client:
        for number, body in enumerate(bodies):
            client.xadd(STREAM, {b"b": body, b"i": b"foreign%d" % number, b"m": b""})
        client.xadd(STREAM, {b"b": b"odd id", b"i": b"\xff\xfe", b"m": b""})
    letters = served.wait_dead_letters(4)
    assert {letter.body for letter in letters} == {*bodies, b"odd id"}
    assert all("cannot be decoded" in letter.reason for letter in letters)


def test_among_good_ones(served: Arena[RedisStore]) -> None:
    keys = [f"k{number}" for number in range(20)]
    served.send("quick", *((key,) for key in keys[:10]))
    with served.store.client() as client:
        for fields in FOREIGN.values():
            client.xadd(STREAM, fields)
    served.send("quick", *((key,) for key in keys[10:]))
    served.wait_ends(keys)
    assert len(served.wait_dead_letters(len(FOREIGN))) == len(FOREIGN)


@pytest.mark.parametrize("kind", ["string", "list", "hash"])
def test_a_key_of_another_type(served: Arena[RedisStore], kind: str) -> None:
    """Of another queue's level: ours go on."""
    key = "{taskiq}:q:default:9"
    with served.store.client() as client:
        {
            "string": lambda: client.set(key, "x"),
            "list": lambda: client.rpush(key, "x"),
            "hash": lambda: client.hset(key, "a", "b"),
        }[kind]()
        wait_until(lambda: "holds other data under our keys" in served.processes[0].output, "a warning")
        client.delete(key)
