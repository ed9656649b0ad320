"""What is on a shelf and not in the line, because the line is long enough: of it only the beginning is known."""

from __future__ import annotations

import struct
import threading
from typing import TYPE_CHECKING, Final

from provtel_collector.delivery.line import Entry

if TYPE_CHECKING:
    from collections.abc import Iterator

    from provtel_model.components import Shelf

# Number, items, and whether metadata stand before the payload.
KEY: Final = struct.Struct(">QI?")
_FIRST: Final = struct.Struct(">Q")


class Backlog:
    """Numbers what is put on a shelf, and knows from which number on it is not in the line.

    So a queue of millions of requests takes no more memory than one of some thousands.

    Args:
        shelf: The shelf.
        most: How many entries are read at a time.
    """

    def __init__(self, shelf: Shelf, most: int) -> None:
        self._shelf = shelf
        self._most = most
        self._lock = threading.Lock()
        self._next = 0
        self._begin: int | None = None
        self._pending: set[int] = set()

    @property
    def waits(self) -> bool:
        """Whether there may be something on the shelf that is not in the line."""
        return self._begin is not None

    def entries(self) -> Iterator[Entry]:
        """Yield all that an earlier process left, and number on from there."""
        first = b""
        while listed := self._shelf.listed(first, self._most):
            yield from [_entry(key, length) for key, length in listed]
            self._next = KEY.unpack(listed[-1][0])[0] + 1
            first = _FIRST.pack(self._next)

    def begin_after(self, entry: Entry) -> None:
        """Know that what comes after an entry is not in the line."""
        self._begin = KEY.unpack(entry.key)[0] + 1

    def number(self) -> int:
        """Return the number of what is about to be put on the shelf; until `settle` it is under way."""
        with self._lock:
            number = self._next
            self._next += 1
            self._pending.add(number)
            return number

    def settle(self, number: int, *, long: bool) -> bool:
        """Know that something is on the shelf, or will not be; return whether its place is in the line.

        Args:
            number: Its number.
            long: Whether the line is so long that what comes later is left on the shelf.
        """
        with self._lock:
            self._pending.discard(number)
            if self._begin is None and long:
                self._begin = self._next
            return self._begin is None or number < self._begin

    def load(self) -> list[Entry]:
        """Return the next entries for the line.

        None comes before one that is still under way, so that the order is kept and none is passed over.
        """
        with self._lock:
            if self._begin is None:
                return []
            under_way = [number for number in self._pending if number >= self._begin]
            listed = self._shelf.listed(_FIRST.pack(self._begin), self._most)
            end = min(under_way, default=self._next)
            entries = [_entry(key, length) for key, length in listed if KEY.unpack(key)[0] < end]
            if not under_way and len(listed) < self._most:
                self._begin = None
            elif entries:
                self._begin = KEY.unpack(entries[-1].key)[0] + 1
            return entries


def _entry(key: bytes, length: int) -> Entry:
    return Entry(key, KEY.unpack(key)[1], length, None)
