"""Dead letters for people: what they were, and what to do with them."""

from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol, Self

from taskiq_core.abc.formatter import TaskiqFormatter
from taskiq_core.abc.queue_admin import QueueAdmin
from taskiq_core.dead_detail import DeadDetail
from taskiq_core.delivery import DeadLetter
from taskiq_core.exceptions import ConfigurationError, MessageDecodeError, MessageTooLargeError
from taskiq_core.labels import DELAY, EXPIRES_AT, OF_ONE_LIFE, PRIORITY, QUEUE
from taskiq_core.message import TaskiqMessage
from taskiq_core.retry import seconds

_PAGE = 100
_PLACES = frozenset({"queue", QUEUE.name, PRIORITY.name, DELAY.name})


class Graveyard(Protocol):
    """What dead letters need of a broker."""

    formatter: TaskiqFormatter
    max_message_size: int

    @property
    def admin(self) -> QueueAdmin | None:
        """None where the broker keeps no dead letters."""
        ...


@dataclass(frozen=True, slots=True)
class DeadTask:
    """A dead letter, read.

    `task_name`, `args`, `kwargs` and `labels` are None where the body is no message. `error` is one line, type and text;
    None where the task raised nothing, as for a body that cannot be read.
    """

    id: str
    task_id: str
    task_name: str | None
    queue: str
    reason: str
    error: str | None
    traceback: str | None
    args: list[Any] | None
    kwargs: dict[str, Any] | None
    labels: dict[str, Any] | None
    deliveries: int
    died_at: datetime
    body: bytes

    @classmethod
    def read(cls, letter: DeadLetter, formatter: TaskiqFormatter) -> Self:
        """Never raises for a body, whatever it is."""
        message: TaskiqMessage | None
        try:
            message = formatter.loads(letter.body)
        except Exception:  # noqa: BLE001 - a formatter of somebody's own may raise anything; this one is dead for it, perhaps
            message = None
        detail = DeadDetail.unpack(letter.detail)
        return cls(
            id=letter.id,
            task_id=letter.task_id or (message.task_id if message else ""),
            task_name=message.task_name if message else None,
            queue=letter.queue,
            reason=letter.reason,
            error=detail.error if detail else None,
            traceback=detail.traceback if detail else None,
            args=message.args if message else None,
            kwargs=message.kwargs if message else None,
            labels=message.labels if message else None,
            deliveries=letter.attempts,
            died_at=datetime.fromtimestamp(letter.died_at, UTC),
            body=letter.body,
        )


@dataclass(frozen=True, slots=True)
class Choice:
    """Which dead letters are meant: all that fit everything that is given.

    `error` is a part of the error's line or of the reason, such as "ConnectionError" or "timed out".
    """

    task: str | None = None
    error: str | None = None
    queue: str | None = None
    older_than: float | timedelta | None = None

    @property
    def is_everything(self) -> bool:
        """Whether nothing is given."""
        return self == Choice()

    def fits(self, letter: DeadTask, now: datetime) -> bool:
        """Whether this one is meant."""
        return (
            self.task in (None, letter.task_name)
            and self.queue in (None, letter.queue)
            and (self.error is None or self.error in (letter.error or "") or self.error in letter.reason)
            and (self.older_than is None or (now - letter.died_at).total_seconds() >= seconds(self.older_than))
        )


class DeadLetters:
    """`broker.dead`: list, show, retry, edit and purge, alike on every broker.

    Times are seconds or timedeltas. Methods raise `BrokerError` if the broker cannot be reached, and may be repeated: a letter
    is retried or deleted once.

    :raises ConfigurationError: from every method, on a broker that keeps no dead letters.
    """

    def __init__(self, broker: Graveyard) -> None:
        self._broker = broker

    async def list(
        self,
        *,
        task: str | None = None,
        error: str | None = None,
        queue: str | None = None,
        older_than: float | timedelta | None = None,
        limit: int = 100,
    ) -> Sequence[DeadTask]:
        """The newest `limit` that fit; `error` is a part of the error's line or of the reason."""
        found: list[DeadTask] = []
        if limit > 0:
            async for page in self._pages(Choice(task, error, queue, older_than)):
                found += page
                if len(found) >= limit:
                    break
        return found[:limit]

    async def get(self, letter_id: str) -> DeadTask | None:
        """The letter with this id, or None."""
        letters = await self._admin.find_dead([letter_id])
        return DeadTask.read(letters[0], self._broker.formatter) if letters else None

    async def retry(self, *letter_ids: str, choice: Choice | None = None) -> int:
        """Put letters back into their queues, with a new life: no attempt counts, no expiry. Returns how many.

        Either ids, or a choice: `retry(choice=Choice(task="mail", error="ConnectionError"))`; `Choice()` is everything. The
        task id stays. A body that is no message goes back as it is.

        :raises ValueError: for both or neither.
        """
        return await self._each(letter_ids, choice, self._revive)

    async def retry_with(
        self,
        letter_id: str,
        *,
        args: Sequence[Any] | None = None,
        kwargs: Mapping[str, Any] | None = None,
        labels: Mapping[str, Any] | None = None,
    ) -> bool:
        """Retry one with other arguments; what is None stays, labels are added. False if there is no such letter.

        It goes back into its queue with its priority, at once: what says otherwise is refused.

        :raises ValueError: for labels that name a queue, a priority or a delay.
        :raises MessageDecodeError: if its body is no message.
        :raises MessageTooLargeError: if the new message is too large; the letter stays where it is.
        :raises TypeError: for args that are no list or tuple, or kwargs that are no mapping; or, or ValueError, for arguments
            that cannot be sent.
        """
        _check(args, kwargs, labels)
        letters = await self._admin.find_dead([letter_id])
        if not letters:
            return False
        try:
            message = self._broker.formatter.loads(letters[0].body)
        except Exception as error:
            raise MessageDecodeError(reason=f"it cannot be edited, only retried as it is: {error}") from error
        message = replace(
            message,
            args=message.args if args is None else list(args),
            kwargs=message.kwargs if kwargs is None else dict(kwargs),
            labels={**message.labels, **(labels or {})},
        )
        body = self._reborn(message)
        if len(body) > self._broker.max_message_size:
            limit = self._broker.max_message_size
            raise MessageTooLargeError(task_name=message.task_name, size=len(body), limit=limit)
        return await self._admin.requeue_dead([letter_id], {letter_id: body}) == 1

    async def purge(self, *letter_ids: str, choice: Choice | None = None) -> int:
        """Delete letters, chosen as in `retry`; returns how many.

        :raises ValueError: for both or neither.
        """
        if choice is not None and not letter_ids and replace(choice, older_than=None).is_everything:
            age = None if choice.older_than is None else seconds(choice.older_than)
            return await self._admin.purge_dead(older_than=age)
        return await self._each(letter_ids, choice, lambda letters: self._admin.purge_dead([x.id for x in letters]))

    # -- how ----------------------------------------------------------------------------------------------------------------

    @property
    def _admin(self) -> QueueAdmin:
        if self._broker.admin is None:
            raise ConfigurationError(
                reason=f"{type(self._broker).__name__} keeps no dead letters: use a broker that declares "
                "Capability.DEAD_LETTER, such as those of SQLite and Redis."
            )
        return self._broker.admin

    async def _each(
        self, ids: Sequence[str], choice: Choice | None, act: "Callable[[Sequence[DeadLetter | DeadTask]], Any]"
    ) -> int:
        if bool(ids) == (choice is not None):
            msg = "say which dead letters: by their ids, or by choice=Choice(...), where Choice() is everything"
            raise ValueError(msg)
        if choice is None:
            return int(await act(await self._admin.find_dead(list(dict.fromkeys(ids)))))
        count = 0
        async for page in self._pages(choice):
            count += await act(page)
        return count

    async def _pages(self, choice: Choice) -> "AsyncGenerator[Sequence[DeadTask]]":
        # A page is of what there is, not of what fits: a broker can look for nothing but queues.
        admin, now, before = self._admin, datetime.now(UTC), None
        while True:
            letters = await admin.dead_letters(queue=choice.queue, limit=_PAGE, before=before)
            read = [DeadTask.read(letter, self._broker.formatter) for letter in letters]
            yield [letter for letter in read if choice.fits(letter, now)]
            if len(letters) < _PAGE:
                return
            before = letters[-1].id

    async def _revive(self, letters: "Sequence[DeadLetter | DeadTask]") -> int:
        bodies: dict[str, bytes] = {}
        for letter in letters:
            with suppress(Exception):  # what cannot be read goes back as it is
                bodies[letter.id] = self._reborn(self._broker.formatter.loads(letter.body))
        return await self._admin.requeue_dead([letter.id for letter in letters], bodies) if letters else 0

    def _reborn(self, message: TaskiqMessage) -> bytes:
        labels = {name: value for name, value in message.labels.items() if name not in OF_ONE_LIFE and name != EXPIRES_AT.name}
        return self._broker.formatter.dumps(replace(message, labels=labels)).message


def _check(args: object, kwargs: object, labels: Mapping[str, Any] | None) -> None:
    if not isinstance(args, list | tuple | None):
        msg = f"args is a list or a tuple of the arguments, not {type(args).__name__}"
        raise TypeError(msg)
    if not isinstance(kwargs, Mapping | None):
        msg = f"kwargs is a mapping of names to arguments, not {type(kwargs).__name__}"
        raise TypeError(msg)
    elsewhere = [name for name in labels or () if name in _PLACES]
    if elsewhere:
        msg = (
            f"a dead letter goes back into its queue with its priority, so labels cannot have {elsewhere[0]!r}: "
            "send a new task, and purge the letter"
        )
        raise ValueError(msg)
