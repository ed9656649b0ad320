"""A queue on the disk: who gives data to it is answered when the data is there, whatever the destination does."""

from __future__ import annotations

import logging
import struct
import threading
from typing import TYPE_CHECKING, Final

import ormsgpack
from provtel_model.components import Batch
from provtel_model.errors import DeliveryError, RetryableError

from provtel_collector.delivery.backlog import KEY, Backlog
from provtel_collector.delivery.consumers import Consumers
from provtel_collector.delivery.line import Entry, Line
from provtel_collector.delivery.memory_queue import PATIENCE_SECONDS, reserve
from provtel_collector.delivery.retry import StoppingError

if TYPE_CHECKING:
    from collections.abc import Callable

    from provtel_model.components import Shelf, Signal
    from provtel_model.delivery import SendingQueue

    from provtel_collector.delivery.sending import Sending

_log = logging.getLogger(__name__)

_LENGTH: Final = struct.Struct(">I")
_HOLD_SECONDS: Final = 5.0
# What waits because a destination is away is read again from the disk, so that a small machine stays small.
_MOST_IN_MEMORY: Final = 4 * 2**20
_MOST_IN_LINE: Final = 10_000


class PersistentQueue:
    """Batches of one signal that are on a shelf until they are delivered.

    What was on the shelf when the process ended, also what was being sent, is sent by the next one: at least once.

    Args:
        name: What to call it.
        signal: Of which signal its batches are.
        settings: The user's.
        sending: Sends what was taken.
        open_shelf: Returns the shelf when the storage runs.
        stopping: Is set when nothing is to be sent a second time.
        refused: Told of batches that could not be taken.
    """

    def __init__(
        self,
        name: str,
        signal: Signal,
        settings: SendingQueue,
        sending: Sending,
        open_shelf: Callable[[], Shelf],
        stopping: threading.Event,
        refused: Callable[[Batch], None],
    ) -> None:
        self._name = name
        self._signal = signal
        self._wait_seconds = PATIENCE_SECONDS if settings.block_on_overflow else 0
        self._sending = sending
        self._open_shelf = open_shelf
        self._stopping = stopping
        self._refused = refused
        self._shelf: Shelf | None = None
        self._backlog: Backlog | None = None
        self._refilling = threading.Lock()
        self._open = False
        self._given_up = False
        self._most_consumers = settings.num_consumers
        self.line = Line(settings.queue_size, settings.sizer, settings.batch, awaited=False)
        self._consumers = Consumers(self.line, self._take, self._work, settings.num_consumers, name)

    def start(self) -> None:
        """Take batches, and go on with those that an earlier process left.

        Raises:
            StoreError: The storage cannot be read.
        """
        self._shelf = self._open_shelf()
        self._backlog = Backlog(self._shelf, _MOST_IN_LINE)
        requests = 0
        for requests, entry in enumerate(self._backlog.entries(), start=1):
            self.line.restore(entry)
            if requests <= _MOST_IN_LINE:
                self.line.add(entry)
            if requests == _MOST_IN_LINE:
                self._backlog.begin_after(entry)
        if requests:
            _log.info("%s: %d requests wait since an earlier run", self._name, requests)
        self._open = True
        for _ in range(min(requests, self._most_consumers)):
            self._consumers.wake()

    def consume(self, batch: Batch) -> None:
        """Take a batch, and return when it is on the disk.

        Raises:
            RetryableError: It is not: the queue or the disk is full.
            PermanentError: It is larger than the queue.
        """
        entry = Entry(b"", batch.items, len(batch.payload), batch)
        try:
            self._reserve(entry)
            self._keep(entry, batch)
        except DeliveryError:
            self._refused(batch)
            raise

    def shutdown(self, seconds: float) -> None:
        """Take no more, send what can be sent within so many seconds; the rest stays on the disk."""
        self._open = False
        self.line.close()
        self._consumers.join(seconds)
        self._given_up = True
        if self.line.items:
            _log.info("%s: %d items stay on the disk for the next run", self._name, self.line.items)

    def _reserve(self, entry: Entry) -> None:
        if not self._open:
            raise RetryableError(f"{self._name} does not run")
        reserve(self.line, entry, self._wait_seconds)

    def _keep(self, entry: Entry, batch: Batch) -> None:
        """Put a batch on the disk, and then in the line unless that is long."""
        shelf, backlog = self._kept()
        number = backlog.number()
        entry.key = KEY.pack(number, batch.items, bool(batch.metadata))
        if self.line.bytes_waiting > _MOST_IN_MEMORY:
            entry.batch = None
        try:
            shelf.put(entry.key, _packed(batch))
        except BaseException:
            self.line.done([entry])
            backlog.settle(number, long=False)
            self._refill(backlog)
            raise
        if backlog.settle(number, long=len(self.line) >= _MOST_IN_LINE):
            self.line.add(entry)
            self._consumers.wake()
        else:
            self._refill(backlog)

    def _take(self) -> list[Entry]:
        self._refill(self._kept()[1])
        return self.line.take()

    def _refill(self, backlog: Backlog) -> None:
        """Bring what is on the disk only into the line when that has become short."""
        if not backlog.waits or len(self.line) >= _MOST_IN_LINE // 2:
            return
        with self._refilling:
            if len(self.line) < _MOST_IN_LINE // 2:
                for entry in backlog.load():
                    self.line.add(entry)
        self._consumers.wake()

    def _work(self, entries: list[Entry]) -> bool:
        if self._given_up:
            return self._leave(entries)
        try:
            self._sending.send([self._batch(entry) for entry in entries])
        except StoppingError:
            return self._leave(entries)
        except Exception as error:  # noqa: BLE001  # whatever it was, what is on the disk is not given up
            _log.error("%s: %d requests stay in the queue: %r", self._name, len(entries), error)
            stopping = self._stopping.wait(_HOLD_SECONDS)
            self.line.put_back(entries)
            return not stopping
        self.line.done(entries)
        self._kept()[0].remove([entry.key for entry in entries])
        return True

    def _leave(self, entries: list[Entry]) -> bool:
        """Leave entries, and all others, to the next run."""
        self._given_up = True
        self.line.put_back(entries)
        return False

    def _batch(self, entry: Entry) -> Batch:
        if entry.batch is not None:
            return entry.batch
        value = self._kept()[0].get(entry.key)
        if value is None:
            raise RetryableError(f"{self._name}: a request of {entry.length} bytes is not on the disk any more")
        _, items, has_metadata = KEY.unpack(entry.key)
        if not has_metadata:
            return Batch(self._signal, value, items)
        end = _LENGTH.size + _LENGTH.unpack_from(value)[0]
        return Batch(self._signal, value[end:], items, ormsgpack.unpackb(value[_LENGTH.size : end]))

    def _kept(self) -> tuple[Shelf, Backlog]:
        """Return the shelf, and what is known of what is on it only."""
        if self._shelf is None or self._backlog is None:
            raise RetryableError(f"{self._name} does not run")
        return self._shelf, self._backlog


def _packed(batch: Batch) -> bytes:
    """Return what is kept of a batch besides its key."""
    if not batch.metadata:
        return batch.payload
    metadata = ormsgpack.packb(dict(batch.metadata))
    return b"".join([_LENGTH.pack(len(metadata)), metadata, batch.payload])
