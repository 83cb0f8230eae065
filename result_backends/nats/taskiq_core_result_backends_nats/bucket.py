"""A key-value bucket of JetStream: a stream that keeps the last message of each subject."""

import asyncio
import base64
import hashlib
import json
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from taskiq_core_brokers_nats.connection import Connection
from taskiq_core_brokers_nats.errors import MESSAGE_NOT_FOUND, STREAM_EXISTS, STREAM_NOT_FOUND, WRONG_SEQUENCE, NatsError
from taskiq_core_brokers_nats.headers import EXPECTED, fields_of, headers_of
from taskiq_core_brokers_nats.link import Msg
from taskiq_core_brokers_nats.pipelining import Item
from taskiq_core_result_backends_nats.pipelining import ask_all

PATIENCE = 5.0
"""Seconds that one answer of JetStream's may take."""
_PAUSES = (0.0, 0.05, 0.2, 0.5)
"""Seconds between making a bucket and writing to it, again and again: who made it for us may be just doing so."""
_DELETE_FAILED = 10057
_PLAIN = re.compile(r"[A-Za-z0-9_-]{1,256}")
_LONGEST = 1024
"""Characters of a key; those of longer names are hashed."""


class Entry(NamedTuple):
    """What is stored under a key."""

    value: bytes
    revision: int
    """Number of the message in the stream: a later value has a higher one."""
    stored: str
    """When, by the server's clock, as ISO 8601 writes it."""


class Bucket:
    """One bucket, made when something is first written to it. All methods raise `NatsError` if NATS cannot be asked.

    :param max_age: seconds after which the server deletes what was written; 0: never.
    """

    def __init__(self, connection: Connection, name: str, *, max_age: float = 0.0, replicas: int = 1) -> None:
        self.stream = f"KV_{name}"
        self._root = f"$KV.{name}."
        self._connection = connection
        self._max_age, self._replicas = max_age, replicas
        self.known = False
        """Whether it was there when it was last used."""

    async def get(self, keys: Sequence[str]) -> dict[str, Entry]:
        """Those that exist; nothing where the bucket does not."""
        subjects = [self.subject(key) for key in keys]
        found = await self.at(subjects)
        return {key: found[subject] for key, subject in zip(keys, subjects, strict=True) if subject in found}

    async def at(self, subjects: Sequence[str]) -> dict[str, Entry]:
        """The same by subjects."""
        # A question for a bucket that is not there has no answer at all.
        if not subjects or not (self.known or await self.exists()):
            return {}
        # Any copy may answer a direct question. Where there are several, the one that takes what is written is asked.
        ask, read = (self._direct, _direct_entry) if self._replicas == 1 else (self._leading, _leading_entry)
        try:
            answers = await self._ask([ask(subject) for subject in subjects])
        except NatsError:
            self.known = False
            raise
        entries = ((subject, read(answer)) for subject, answer in zip(subjects, answers, strict=True))
        return {subject: entry for subject, entry in entries if entry is not None}

    async def put(self, values: Mapping[str, bytes], *, mark: bool = False) -> None:
        """Store all, replacing what was there; they are stored when it returns. After an error some may be.

        With `mark` the mark gets a new revision after them.
        """
        requests = [Item(self.subject(key), data=value) for key, value in values.items()]
        for answer in await self._write([*requests, Item(self.mark)] if mark else requests):
            self._connection.check(answer)

    async def replace(self, values: Sequence[tuple[str, bytes, int]]) -> list[bool]:
        """Store (key, value, revision) each only if that is still the key's revision, 0 for none; whether it was."""
        return [
            not _refused(answer, {WRONG_SEQUENCE}, self._connection)
            for answer in await self._write(
                [Item(self.subject(key), headers_of({EXPECTED: revision}), value) for key, value, revision in values]
            )
        ]

    async def delete(self, revisions: Iterable[int]) -> None:
        """Delete these messages, where they are still there."""
        orders = [{"seq": revision, "no_erase": True} for revision in revisions]
        await self._each("STREAM.MSG.DELETE", orders, {_DELETE_FAILED, MESSAGE_NOT_FOUND, STREAM_NOT_FOUND})

    async def purge(self, keys: Iterable[str]) -> None:
        """Delete keys, whatever their revision; those that do not exist are no error."""
        await self._each("STREAM.PURGE", [{"filter": self.subject(key)} for key in keys], {STREAM_NOT_FOUND})

    async def subjects(self) -> list[str]:
        """The subjects of all keys."""
        found: list[str] = []
        while True:
            order = {"subjects_filter": f"{self._root}>", "offset": len(found)}
            try:
                state = (await self._connection.api(f"STREAM.INFO.{self.stream}", order))["state"]
            except NatsError as error:
                if error.code == STREAM_NOT_FOUND:
                    return []
                raise
            page: Mapping[str, int] = state.get("subjects") or {}
            found += page
            if not page or len(found) >= state["num_subjects"]:
                return found

    async def exists(self) -> bool:
        """Whether it has been made."""
        try:
            await self._connection.api(f"STREAM.INFO.{self.stream}")
        except NatsError as error:
            if error.code != STREAM_NOT_FOUND:
                raise
            self.known = False
        else:
            self.known = True
        return self.known

    @property
    def mark(self) -> str:
        """One more subject, which is no key's."""
        return f"{self._root}===mark"

    def subject(self, key: str) -> str:
        """Where the values of a key, any text, are published."""
        if _PLAIN.fullmatch(key):
            return self._root + key
        coded = base64.urlsafe_b64encode(key.encode()).decode()
        return f"{self._root}={coded}" if len(coded) < _LONGEST else f"{self._root}=={hashlib.sha256(key.encode()).hexdigest()}"

    # -- questions ------------------------------------------------------------------------------------------------------------

    @property
    def _place(self) -> str:
        return self._connection.location.server

    async def _ask(self, requests: Sequence[Item]) -> list[Msg]:
        answers: list[Msg] = []
        for answer in await ask_all(self._connection, requests, PATIENCE):
            if isinstance(answer, NatsError):
                raise answer
            answers.append(answer)
        return answers

    async def _write(self, requests: Sequence[Item]) -> list[dict[str, Any]]:
        if not requests:
            return []
        answers = await self._ask(requests)
        for pause in _PAUSES:  # while nobody takes these subjects yet
            unheard = [number for number, answer in enumerate(answers) if answer.status == "503"]
            if not unheard:
                break
            await self._make()
            await asyncio.sleep(pause)
            for number, answer in zip(unheard, await self._ask([requests[number] for number in unheard]), strict=True):
                answers[number] = answer
        if any(answer.status == "503" for answer in answers):
            raise NatsError(reason=f"NATS at {self._place} is just making {self.stream} available.", passing=True)
        self.known = True
        return [_STORED if b'"error"' not in answer.data else json.loads(answer.data) for answer in answers]

    async def _make(self) -> None:
        config = {
            "name": self.stream,
            "subjects": [f"{self._root}>"],
            "max_msgs_per_subject": 1,
            "max_age": int(self._max_age * 1e9),
            "duplicate_window": int(min(self._max_age or 120.0, 120.0) * 1e9),
            "num_replicas": self._replicas,
            "discard": "new",
            "allow_direct": True,
            "allow_rollup_hdrs": True,
        }
        try:
            await self._connection.api(f"STREAM.CREATE.{self.stream}", config)
        except NatsError as error:
            if error.code != STREAM_EXISTS:  # somebody made it with other settings, which are for operators to change
                raise

    async def _each(self, call: str, orders: Sequence[Mapping[str, object]], passable: Collection[int]) -> None:
        subject = f"$JS.API.{call}.{self.stream}"
        for answer in await self._ask([Item(subject, data=json.dumps(order).encode()) for order in orders]):
            if answer.status == "503":
                raise NatsError(reason=f"NATS at {self._place} has nobody who answers {call}.", passing=True)
            _refused(json.loads(answer.data), passable, self._connection)

    def _direct(self, subject: str) -> Item:
        return Item(f"$JS.API.DIRECT.GET.{self.stream}.{subject}")

    def _leading(self, subject: str) -> Item:
        return Item(f"$JS.API.STREAM.MSG.GET.{self.stream}", data=json.dumps({"last_by_subj": subject}).encode())


_STORED: dict[str, Any] = {}


def _direct_entry(answer: Msg) -> Entry | None:
    if answer.status:  # 404
        return None
    fields = fields_of(answer.headers)
    return Entry(answer.data, int(fields["Nats-Sequence"]), fields["Nats-Time-Stamp"])


def _leading_entry(answer: Msg) -> Entry | None:
    message = json.loads(answer.data).get("message")
    return None if message is None else Entry(base64.b64decode(message.get("data", "")), message["seq"], message["time"])


def _refused(answer: Mapping[str, Any], passable: Collection[int], connection: Connection) -> bool:
    """Whether it is one of the `passable` errors; raises any other."""
    try:
        connection.check(answer)
    except NatsError as error:
        if error.code not in passable:
            raise
        return True
    return False
