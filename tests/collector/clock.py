"""A clock that stands still until it is told to go."""

from __future__ import annotations


class Clock:
    """Stands in for `time.monotonic` and for the event that a stopping collector sets: to wait moves it on."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.waits: list[float] = []
        self.stopped = False

    def __call__(self) -> float:
        """Return the time."""
        return self.now

    def wait(self, seconds: float) -> bool:
        """Let some seconds pass; return whether the collector stops."""
        self.waits.append(seconds)
        self.now += seconds
        return self.stopped
