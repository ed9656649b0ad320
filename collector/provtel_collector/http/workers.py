"""Threads that do what may wait, so that the event loop never does."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Final

_log = logging.getLogger(__name__)

# A worker mostly waits for a disk or a peer; as many requests can be made durable together.
WORKERS: Final = 64
_WAITING: Final = 1024

Work = Callable[[], None]


class Workers:
    """Runs work in threads, which come into being when they are needed.

    The executors of the standard library do the same for twice the time: they make an object with a lock for each piece
    of work, which nobody here would look at.

    Args:
        name: What the threads are called.
        limit: The most threads.
        waiting: The most pieces of work that may wait for a thread.
    """

    def __init__(self, name: str, limit: int = WORKERS, waiting: int = _WAITING) -> None:
        self._name = name
        self._limit = limit
        self._waiting = waiting
        self._queue: SimpleQueue[Work | None] = SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._lock = threading.Lock()
        self._pending = 0
        self._stopped = False

    def submit(self, work: Work) -> bool:
        """Have work done; return False where too much waits already. To be called from one thread only."""
        if self._stopped or self._queue.qsize() >= self._waiting:
            return False
        with self._lock:
            self._pending += 1
            all_busy = self._pending > len(self._threads)
        self._queue.put(work)
        if all_busy and len(self._threads) < self._limit:
            thread = threading.Thread(target=self._run, name=f"{self._name}-{len(self._threads)}", daemon=True)
            self._threads.append(thread)
            thread.start()
        return True

    def shutdown(self) -> None:
        """Finish what was submitted, and end the threads; safe to call twice."""
        if not self._stopped:
            self._stopped = True
            for _ in self._threads:
                self._queue.put(None)
        for thread in self._threads:
            thread.join()

    def _run(self) -> None:
        while (work := self._queue.get()) is not None:
            try:
                work()
            except Exception:  # noqa: BLE001  # the thread is for the next one too
                _log.exception("work failed in a way that it should not")
            del work
            with self._lock:
                self._pending -= 1
