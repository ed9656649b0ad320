"""The line in which batches wait for an exporter."""

from __future__ import annotations

import threading
import time
from collections import deque
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from provtel_model.components import Batch
    from provtel_model.delivery import QueueBatch, Sizer


_LULL_SHARE: Final = 0.125


class Entry:
    """A batch that waits.

    Args:
        key: Its place on the disk; empty where it has none.
        items: How many items it has.
        length: How many bytes.
        batch: The batch; None where it is only on the disk.
    """

    __slots__ = ("_answer", "batch", "error", "items", "key", "length")

    def __init__(self, key: bytes, items: int, length: int, batch: Batch | None) -> None:
        self.key = key
        self.items = items
        self.length = length
        self.batch = batch
        self.error: Exception | None = None
        self._answer = threading.Lock()
        self._answer.acquire()

    def settle(self, error: Exception | None = None) -> None:
        """Answer whoever waits for what becomes of it."""
        self.error = error
        self._answer.release()

    def settled(self, seconds: float = -1) -> bool:
        """Wait until it is settled, for so many seconds at most; return whether it is."""
        return self._answer.acquire(timeout=seconds)


MEASURES: Final[Mapping[Sizer, Callable[[Entry], int]]] = {
    "requests": lambda _: 1,
    "items": lambda entry: entry.items,
    "bytes": lambda entry: entry.length,
}


class Line:
    """Entries in the order in which they came; bounded, and taken in batches where that is wished.

    What was taken counts until it is `done`, so that the bound is one of all that is not delivered.

    Args:
        capacity: The most that may be in it.
        sizer: What the capacity counts.
        batch: How entries are put together.
        awaited: Whether somebody waits for what is in it, so that a batch that does not grow is sent early.
    """

    def __init__(self, capacity: int, sizer: Sizer, batch: QueueBatch | None, *, awaited: bool) -> None:
        self.capacity = capacity
        self._lull_share = _LULL_SHARE if awaited else 1.0
        self._measure = MEASURES[sizer]
        self._batch = batch
        self._weigh = MEASURES[batch.sizer or "items"] if batch else MEASURES["requests"]
        self._entries: deque[Entry] = deque()
        self._weight = 0
        self._lock = threading.Lock()
        self._arrived = threading.Condition(self._lock)
        self._grown = threading.Condition(self._lock)
        self._room = threading.Condition(self._lock)
        self._gathering = False
        self._closed = False
        self._idle = 0
        self.size = 0
        self.items = 0
        self.restored_items = 0
        self.bytes_waiting = 0

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def short_of_hands(self) -> bool:
        """Whether more entries wait to be taken than there are threads that wait to take one."""
        return len(self._entries) > self._idle

    def fits(self, entry: Entry) -> bool:
        """Return whether an entry could be in the line if nothing else was."""
        return self._measure(entry) <= self.capacity

    def reserve(self, entry: Entry, seconds: float = 0) -> bool:
        """Keep room for an entry, waiting for it for so many seconds; return whether there is."""
        size = self._measure(entry)
        with self._lock:
            if self.size + size > self.capacity and not (
                seconds and self._room.wait_for(lambda: self.size + size <= self.capacity, seconds)
            ):
                return False
            self.size += size
            self.items += entry.items
            return True

    def add(self, entry: Entry) -> None:
        """Put an entry, for which there is room, at the end."""
        with self._lock:
            self._entries.append(entry)
            self._weight += self._weigh(entry)
            self.bytes_waiting += entry.length
            self._wake()

    def restore(self, entry: Entry) -> None:
        """Count an entry that was there before, whether there is room for it or not."""
        with self._lock:
            self.size += self._measure(entry)
            self.items += entry.items
            self.restored_items += entry.items

    def put_back(self, entries: list[Entry]) -> None:
        """Put entries that were taken at the beginning again."""
        with self._lock:
            self._entries.extendleft(reversed(entries))
            self._weight += sum(map(self._weigh, entries))
            self.bytes_waiting += sum(entry.length for entry in entries)
            self._wake()

    def withdraw(self, entry: Entry) -> bool:
        """Take an entry out of the line; return False where it is being sent."""
        with self._lock:
            if entry not in self._entries:
                return False
            self._entries.remove(entry)
            self._weight -= self._weigh(entry)
            self.bytes_waiting -= entry.length
        self.done([entry])
        return True

    def done(self, entries: list[Entry]) -> None:
        """Give back the room of entries that were taken."""
        with self._lock:
            self.size -= sum(map(self._measure, entries))
            self.items -= sum(entry.items for entry in entries)
            self._room.notify_all()

    def close(self) -> list[Entry]:
        """Let whoever takes come to the end; return what is in the line now."""
        with self._lock:
            self._closed = True
            self._arrived.notify_all()
            self._grown.notify_all()
            return list(self._entries)

    def take(self) -> list[Entry]:
        """Return the entries to send together; none when the line was closed and is empty."""
        with self._lock:
            while True:
                while not self._entries or self._gathering:
                    if self._closed and not self._entries:
                        return []
                    self._idle += 1
                    self._arrived.wait()
                    self._idle -= 1
                taken = self._gather(self._batch) if self._batch else [self._pop()]
                if taken:  # those that one began to gather may have been withdrawn
                    return taken

    def _gather(self, batch: QueueBatch) -> list[Entry]:
        """Return entries once they are a batch, or the time for it is over; there is one who gathers at a time."""
        deadline = time.monotonic() + batch.flush_timeout
        lull = batch.flush_timeout * self._lull_share
        self._gathering = True
        while self._weight < batch.min_size and not self._closed:
            before = self._weight
            self._grown.wait(min(lull, deadline - time.monotonic()))
            if self._weight == before or time.monotonic() >= deadline:
                break
        self._gathering = False
        entries: list[Entry] = []
        weight = 0
        while self._entries and (not entries or weight < (batch.min_size or 1)):
            following = weight + self._weigh(self._entries[0])
            if entries and batch.max_size and following > batch.max_size:
                break
            entries.append(self._pop())
            weight = following
        if self._entries or self._closed:
            self._arrived.notify()
        return entries

    def _pop(self) -> Entry:
        entry = self._entries.popleft()
        self._weight -= self._weigh(entry)
        self.bytes_waiting -= entry.length
        return entry

    def _wake(self) -> None:
        if not self._gathering:
            self._arrived.notify()
        elif self._batch and self._weight >= self._batch.min_size:
            self._grown.notify()
