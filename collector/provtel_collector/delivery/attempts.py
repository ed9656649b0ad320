"""Calls of consumers in threads of their own, so that whoever calls can do something else, or stop waiting."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from provtel_model.components import Batch, Consumer

_IDLE_SECONDS: Final = 10.0


class Attempt:
    """A batch that is being given to a consumer."""

    __slots__ = ("_batch", "_over", "consumer", "error")

    def __init__(self, consumer: Consumer, batch: Batch) -> None:
        self.consumer = consumer
        self._batch = batch
        self._over = threading.Lock()
        self._over.acquire()
        self.error: BaseException | None = None

    def run(self) -> None:
        """Give the batch to the consumer, and keep what it raises."""
        try:
            self.consumer.consume(self._batch)
        except BaseException as error:  # noqa: BLE001  # for whoever waits
            self.error = error

    def end(self) -> None:
        """Let who waits go on."""
        self._over.release()

    def ended(self, seconds: float = -1) -> bool:
        """Wait for the end, for so many seconds at most; return whether it has come."""
        return self._over.acquire(timeout=seconds)


class Attempts:
    """Begins attempts in threads that are used again, and end when nothing was to be done for some seconds.

    None of them keeps the process from ending.

    Args:
        most: How many may run at a time.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._lock = threading.Lock()
        self._threads = 0
        self._idle: list[_Worker] = []

    def begin(self, consumer: Consumer, batch: Batch) -> Attempt | None:
        """Begin to give a batch to a consumer; return None where as many attempts run as may."""
        attempt = Attempt(consumer, batch)
        with self._lock:
            if self._idle:
                self._idle.pop().give(attempt)
                return attempt
            if self._threads >= self._most:
                return None
            self._threads += 1
        _Worker(self, attempt).start()
        return attempt

    def rest(self, worker: _Worker) -> None:
        """Know that a worker has nothing to do."""
        with self._lock:
            self._idle.append(worker)

    def dismiss(self, worker: _Worker) -> bool:
        """Return whether a worker that waited long enough may end; not where it was given something just now."""
        with self._lock:
            if worker not in self._idle:
                return False
            self._idle.remove(worker)
            self._threads -= 1
            return True


class _Worker:
    """A thread that makes one attempt after another."""

    def __init__(self, attempts: Attempts, first: Attempt) -> None:
        self._attempts = attempts
        self._attempt = first
        self._given = threading.Lock()

    def start(self) -> None:
        self._given.acquire()
        threading.Thread(target=self._run, name="provtel-attempt", daemon=True).start()

    def give(self, attempt: Attempt) -> None:
        """Make an attempt; only while this rests."""
        self._attempt = attempt
        self._given.release()

    def _run(self) -> None:
        while True:
            attempt = self._attempt
            attempt.run()
            del self._attempt  # its batch may be large, and the wait for the next may be long
            self._attempts.rest(self)
            attempt.end()
            del attempt
            while not self._given.acquire(timeout=_IDLE_SECONDS):
                if self._attempts.dismiss(self):
                    return
