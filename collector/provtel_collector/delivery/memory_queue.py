"""A queue in memory: who gives data to it is answered when the destination has answered."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Final

from provtel_model.errors import DeliveryError, PermanentError, RetryableError

from provtel_collector.delivery.consumers import Consumers
from provtel_collector.delivery.line import Entry, Line

if TYPE_CHECKING:
    from collections.abc import Callable

    from provtel_model.components import Batch
    from provtel_model.delivery import SendingQueue

    from provtel_collector.delivery.announced import Announced
    from provtel_collector.delivery.sending import Sending

PATIENCE_SECONDS: Final = 8.0
"""How long a sender waits: less than the ten seconds after which most would give up by themselves."""

# A receiver has more threads than this, so that some are left for exporters that do well.
_MOST_WAITING: Final = 20


class MemoryQueue:
    """Batches that wait in memory, each with its sender.

    What is refused, or takes too long, stays the sender's: it is told to try again, and nothing of it is left here.
    While the destination does badly few senders may wait, the others are told at once, so that they do not hold the
    threads of a receiver that feeds other exporters too.

    Args:
        name: What to call it.
        settings: The user's.
        sending: Sends what was taken.
        destination: Tells whether the destination does badly.
        refused: Told of batches for which there is no room.
    """

    def __init__(
        self,
        name: str,
        settings: SendingQueue,
        sending: Sending,
        destination: Announced,
        refused: Callable[[Batch], None],
    ) -> None:
        self._settings = settings
        self._sending = sending
        self._destination = destination
        self._refused = refused
        self._lock = threading.Lock()
        self._waiting = 0
        self._closed = False
        self.line = Line(settings.queue_size, settings.sizer, settings.batch, awaited=True)
        self._consumers = Consumers(self.line, self.line.take, self._work, settings.num_consumers, name)

    def start(self) -> None:
        """Take batches."""

    def consume(self, batch: Batch) -> None:
        """Take a batch, and return when it is delivered.

        Raises:
            RetryableError: It is not delivered; nobody here will try again.
            PermanentError: It never will be.
        """
        entry = Entry(b"", batch.items, len(batch.payload), batch)
        try:
            self._admit(entry)
        except DeliveryError:
            self._refused(batch)
            raise
        try:
            self.line.add(entry)
            self._consumers.wake()
            self._wait(entry)
        finally:
            with self._lock:
                self._waiting -= 1
        if entry.error is not None:
            raise entry.error

    def shutdown(self, seconds: float) -> None:
        """Take no more; finish what was taken within so many seconds, and tell the senders of the rest."""
        self._closed = True
        self.line.close()
        if not self._consumers.join(seconds):
            for entry in self.line.close():
                if self.line.withdraw(entry):
                    entry.settle(RetryableError("the collector stops"))

    def _admit(self, entry: Entry) -> None:
        """Count a sender in and keep room for its entry, or refuse it."""
        with self._lock:
            if self._closed:
                raise RetryableError("the collector stops")
            if self._waiting >= min(2 * self._settings.num_consumers, _MOST_WAITING) and self._destination.struggling:
                raise RetryableError("the destination does not answer, and others wait for it already")
            self._waiting += 1
        try:
            reserve(self.line, entry, PATIENCE_SECONDS if self._settings.block_on_overflow else 0)
        except BaseException:
            with self._lock:
                self._waiting -= 1
            raise

    def _wait(self, entry: Entry) -> None:
        if not entry.settled(PATIENCE_SECONDS):
            if self.line.withdraw(entry):
                raise RetryableError(f"it was not its turn within {PATIENCE_SECONDS:g} s")
            entry.settled()

    def _work(self, entries: list[Entry]) -> bool:
        error: Exception | None = None
        try:
            self._sending.send([entry.batch for entry in entries if entry.batch is not None])
        except Exception as failure:  # noqa: BLE001  # raised to those who wait
            error = failure
        self.line.done(entries)
        for entry in entries:
            entry.settle(error)
        return True


def reserve(line: Line, entry: Entry, seconds: float) -> None:
    """Keep room in a line for an entry, waiting for it for so many seconds.

    Raises:
        RetryableError: There is none now.
        PermanentError: There never is.
    """
    if not line.fits(entry):
        raise PermanentError(f"element size too large: the whole queue holds {line.capacity}; raise queue_size")
    if not line.reserve(entry, seconds):
        raise RetryableError("sending queue is full")
