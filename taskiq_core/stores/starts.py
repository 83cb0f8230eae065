"""When tasks under one rate limit started, and when those who wait shall come: what every store decides by."""

from bisect import bisect_right, insort
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from taskiq_core.abc.coordinator import RateLimit

_SPREAD = 1.0
"""Seconds over which those who may start in one window are called, if it is as long."""


class Times(Protocol):
    """Seconds of one clock, in order."""

    def __len__(self) -> int: ...

    def newest(self, n: int) -> float:
        """The n-th newest; there are at least so many."""
        ...

    def after(self, moment: float) -> int:
        """How many are later."""
        ...

    def add(self, time: float) -> None:
        """One more."""
        ...


class TimesInMemory:
    """A sorted list."""

    __slots__ = ("_times",)

    def __init__(self) -> None:
        self._times: list[float] = []

    def __len__(self) -> int:
        return len(self._times)

    def newest(self, n: int) -> float:
        return self._times[-n]

    def after(self, moment: float) -> int:
        return len(self._times) - bisect_right(self._times, moment)

    def add(self, time: float) -> None:
        insort(self._times, time)

    def forget(self, until: float) -> None:
        """Drop those up to a moment."""
        del self._times[: bisect_right(self._times, until)]

    def keep(self, newest: int) -> None:
        """Drop all but so many."""
        del self._times[:-newest]


@dataclass(slots=True)
class Book:
    """What is known of one rate: the starts of the last window, the times given, and who is called again in a moment.

    A time that is given is one `pace` after the one that was given `limit` times before; a start at once counts as given too.
    So whoever comes at its time finds the window open, unless those before it came late. Those who wait are called one after
    the other, spread over the pace or a second of it: a crowd that is called at once is seen to start when it can, and that
    may be in the window of the next.
    """

    rate: RateLimit
    starts: Times
    bookings: Times
    recalls: Times

    def opening(self, now: float, ahead: int = 0) -> float:
        """When the window has room for one more, after `ahead` others."""
        place = self.rate.limit - ahead
        return now if len(self.starts) < place else max(now, self.starts.newest(place) + self.rate.window)

    def recall(self, now: float) -> float:
        """When one who came at its time and has to wait is called again: each at an opening of its own."""
        ahead = self.recalls.after(now)
        if ahead < self.rate.limit:
            return self.opening(now, ahead)
        return self.recalls.newest(self.rate.limit) + self.rate.window

    def next_time(self, now: float) -> float:
        """The time that is given next, behind all that were given before."""
        time, limit = now, self.rate.limit
        if len(self.bookings) > 0:
            time = max(time, self.bookings.newest(1))
        if len(self.bookings) >= limit:
            time = max(time, self.bookings.newest(limit) + self.rate.pace)
        ahead = self.bookings.after(now)
        if ahead < limit:
            time = max(time, self.opening(now, ahead))
        if time > now and len(self.bookings) > 0:
            time = max(time, self.bookings.newest(1) + min(self.rate.pace, _SPREAD) / limit)
        return time

    @property
    def end(self) -> float:
        """From when on it says no more than a new one."""
        kinds = ((self.starts, self.rate.window), (self.bookings, self.rate.pace), (self.recalls, 0.0))
        return max((times.newest(1) + more for times, more in kinds if len(times) > 0), default=0.0)


def wait_for(books: Sequence[Book], now: float, *, booked: bool, patience: float) -> float:
    """Start within all of these rates: 0.0; or else the seconds until a time, which is given where the patience is enough."""
    if booked:
        openings = [book.opening(now) for book in books]
        if max(openings, default=now) <= now:
            for book in books:
                book.starts.add(now)
            return 0.0
        if all(opening - now <= book.rate.pace for opening, book in zip(openings, books, strict=True)):
            recalls = [book.recall(now) for book in books]
            if all(recall - now <= book.rate.pace for recall, book in zip(recalls, books, strict=True)):
                return _recall(books, recalls, now, patience)
    return _give(books, [book.next_time(now) for book in books], now, patience)


def _recall(books: Sequence[Book], recalls: Sequence[float], now: float, patience: float) -> float:
    time = max(recalls)
    for book, recall in zip(books, recalls, strict=True):
        if now < recall and time - now <= patience:
            book.recalls.add(time)
    return time - now


def _give(books: Sequence[Book], times: Sequence[float], now: float, patience: float) -> float:
    time = max(times, default=now)
    if time - now > max(0.0, patience):
        return time - now
    for book, own in zip(books, times, strict=True):
        if time <= now:
            book.starts.add(now)
        # A time far behind what this rate would have given must not push back those who need this rate only.
        if own == time:
            book.bookings.add(time)
    return time - now
