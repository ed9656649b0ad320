"""An end to the wait for an exporter."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Final

from provtel_model.errors import RetryableError

if TYPE_CHECKING:
    from provtel_model.components import Batch, Consumer

_MOST_THREADS: Final = 64


class Timeout:
    """Gives batches to a consumer, and waits for it no longer than allowed.

    An attempt that takes longer is given up: it may still succeed, as nothing can stop a thread from outside, so what
    is sent again may arrive twice. Its thread is used again when it comes back.

    Args:
        consumer: The consumer.
        seconds: How long to wait.
    """

    def __init__(self, consumer: Consumer, seconds: float) -> None:
        self._consumer = consumer
        self._seconds = seconds
        self._idle: list[_Worker] = []
        self._lock = threading.Lock()
        self._threads = 0
        self._closed = False

    def consume(self, batch: Batch) -> None:
        """Give a batch on.

        Raises:
            RetryableError: There was no answer in time, or too many earlier attempts still hang.
        """
        attempt = _Attempt(batch)
        self._worker().give(attempt)
        if not attempt.over.acquire(timeout=self._seconds):
            raise RetryableError(f"no answer within {self._seconds:g} s")
        if attempt.error is not None:
            raise attempt.error

    def close(self) -> None:
        """Let the threads end, those that hang when they come back; nothing is given on after this."""
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
        for worker in idle:
            worker.give(None)

    def _worker(self) -> _Worker:
        with self._lock:
            if self._idle:
                return self._idle.pop()
            if self._threads >= _MOST_THREADS:
                raise RetryableError(f"{self._threads} attempts hang, each for more than {self._seconds:g} s")
            self._threads += 1
        return _Worker(self)

    def run(self, attempt: _Attempt, worker: _Worker) -> bool:
        """Make an attempt in a worker's thread; return whether the worker is wanted any longer."""
        try:
            self._consumer.consume(attempt.batch)
        except BaseException as error:  # noqa: BLE001  # raised where it is waited for
            attempt.error = error
        with self._lock:
            wanted = not self._closed
            if wanted:
                self._idle.append(worker)
        attempt.over.release()
        return wanted


class _Attempt:
    """A batch on its way; `over` is released when it ended."""

    __slots__ = ("batch", "error", "over")

    def __init__(self, batch: Batch) -> None:
        self.batch = batch
        self.error: BaseException | None = None
        self.over = threading.Lock()
        self.over.acquire()


class _Worker:
    """A thread that makes one attempt after another; it never keeps the process from ending."""

    def __init__(self, timeout: Timeout) -> None:
        self._timeout = timeout
        self._wake = threading.Lock()
        self._wake.acquire()
        self._attempt: _Attempt | None = None
        threading.Thread(target=self._run, name="provtel-export", daemon=True).start()

    def give(self, attempt: _Attempt | None) -> None:
        """Make an attempt; end on None."""
        self._attempt = attempt
        self._wake.release()

    def _run(self) -> None:
        wanted = True
        while wanted:
            self._wake.acquire()
            attempt, self._attempt = self._attempt, None
            if attempt is None:
                return
            wanted = self._timeout.run(attempt, self)
            del attempt  # its batch may be large, and the wait for the next may be long
