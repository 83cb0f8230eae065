"""When tasks under one rate limit started, and what times were given to those who wait."""

from collections import deque

_PATIENCE = 0.05


class Starts:
    """The newest `limit` starts and the newest `limit` times given, in seconds of one clock."""

    __slots__ = ("_given", "_started", "limit", "pace", "window")

    def __init__(self) -> None:
        self.limit, self.window, self.pace = 0, 0.0, 0.0
        self._started: deque[float] = deque()
        self._given: deque[float] = deque()

    def adjust(self, limit: int, window: float, pace: float) -> None:
        """Hold to this limit from now on; times given under another one are no longer counted."""
        if (limit, window, pace) == (self.limit, self.window, self.pace):
            return
        self.limit, self.window, self.pace = limit, window, pace
        self._started = deque(self._started, maxlen=max(limit, self._started.maxlen or 0))
        self._given = deque((time for time in self._started), maxlen=limit)

    @property
    def patience(self) -> float:
        """How long who comes at its time waits for a window that is about to open."""
        return max(_PATIENCE, self.window / 10)

    def opens_at(self, now: float) -> float:
        """When the window has room."""
        if len(self._started) < self.limit:
            return now
        return max(now, self._started[-self.limit] + self.window)

    def next_time(self, now: float) -> float:
        """The time that is given next."""
        if len(self._given) < self.limit:
            return now
        return max(now, self._given[-self.limit] + self.pace)

    def give(self, time: float) -> None:
        """A time is given."""
        self._given.append(time)

    def start(self, now: float) -> None:
        """One has started."""
        self._started.append(now)

    def expires_in(self, now: float) -> float:
        """Seconds until the book is as good as a new one, if nothing happens."""
        newest = max((times[-1] for times in (self._started, self._given) if times), default=now)
        return max(0.0, newest - now) + self.pace
