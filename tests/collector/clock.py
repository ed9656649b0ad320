"""A clock that stands still until it is told to go."""

from __future__ import annotations

import threading


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


def in_threads(*works: object) -> list[threading.Thread]:
    """Start some functions at the same time."""
    threads = [threading.Thread(target=work, daemon=True) for work in works if callable(work)]
    for thread in threads:
        thread.start()
    return threads
