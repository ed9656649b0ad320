"""The threads that take what waits in a line and send it."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from provtel_collector.delivery.line import Entry, Line


class Consumers:
    """Threads that work on a line; each begins when it is needed first, and none keeps the process from ending.

    Args:
        line: What they work on.
        take: Returns what to work on next, which may have to be waited for; nothing at the end.
        work: Called with entries that were taken; returns whether to go on.
        most: How many threads there may be.
        name: What to call them.
    """

    def __init__(
        self,
        line: Line,
        take: Callable[[], list[Entry]],
        work: Callable[[list[Entry]], bool],
        most: int,
        name: str,
    ) -> None:
        self._line = line
        self._take = take
        self._work = work
        self._most = most
        self._name = name
        self._lock = threading.Lock()
        self._threads: list[threading.Thread] = []

    def wake(self) -> None:
        """Have one thread more for what was added to the line, if there may be one and too few are idle."""
        if len(self._threads) >= self._most or not self._line.short_of_hands:
            return
        with self._lock:
            if len(self._threads) < self._most:
                thread = threading.Thread(target=self._run, name=f"provtel-{self._name}", daemon=True)
                self._threads.append(thread)
                thread.start()

    def join(self, seconds: float) -> bool:
        """Wait for all threads to end; return whether they did in so many seconds."""
        deadline = time.monotonic() + seconds
        for thread in self._threads:
            thread.join(max(0, deadline - time.monotonic()))
        return not any(thread.is_alive() for thread in self._threads)

    def _run(self) -> None:
        while entries := self._take():
            if not self._work(entries):
                return
            entries.clear()  # they may be large, and the wait for the next may be long
