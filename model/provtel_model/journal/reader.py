"""From frames to activities: reads one journal, from a cursor on, as often as it grows."""

from __future__ import annotations

from functools import partial
from itertools import chain
from typing import TYPE_CHECKING

from provtel_model.errors import MalformedError
from provtel_model.journal.activities import NOT_UNDERSTOOD, Activities
from provtel_model.journal.frames import OpenSegment
from provtel_model.journal.layout import SEGMENT_HEADER, Cursor, ProcessFacts, segment_number

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from provtel_model.journal.records import Ended

    Usual = Callable[[int, bytes, int, int], int]


def segments(journal: Path) -> list[int]:
    """Return the numbers of the segments that a journal has, in order."""
    numbers = (segment_number(entry.name) for entry in journal.iterdir())
    return sorted(number for number in numbers if number is not None)


def read_process(journal: Path) -> ProcessFacts:
    """Return who wrote a journal, from its first segment.

    Raises:
        MalformedError: It has no segment, or its first one is not readable.
        OSError: It cannot be opened.
    """
    numbers = segments(journal)
    if not numbers:
        msg = f"{journal} has no segments"
        raise MalformedError(msg)
    with OpenSegment(journal, numbers[0]) as segment:
        for payload in segment.frames(skip_torn=False):
            return ProcessFacts.from_payload(payload)
    msg = f"{journal} has an empty segment"
    raise MalformedError(msg)


class JournalReader:
    """Reads a journal from a cursor on; keeps what is open, so that it can go on when the journal has grown.

    Args:
        journal: The journal's folder.
        cursor: Ends before it are not given again.
    """

    def __init__(self, journal: Path, cursor: Cursor) -> None:
        """Begin at the start of the cursor's segment, whose frames those after the cursor refer to."""
        self.activities = Activities()
        self._journal = journal
        self._cursor = cursor
        self._segment = cursor.segment
        self._offset = SEGMENT_HEADER.size

    @property
    def position(self) -> Cursor:
        """Behind the last frame that was read."""
        return Cursor(self._segment, self._offset)

    def ended(self, *, alive: bool) -> Iterator[Ended]:
        """Yield activities that ended since the cursor and were not given yet.

        Args:
            alive: The writer may still write.
        """
        return chain.from_iterable(self.portions(alive=alive))

    def portions(self, *, alive: bool, usual: Usual | None = None) -> Iterator[Iterator[Ended]]:
        """Yield the same in portions, as much as is read at once; each is to be used up before the next.

        Args:
            alive: The writer may still write.
            usual: Takes frames that it understands, as far as it likes; what they end is not yielded.
        """
        while True:
            known = [number for number in segments(self._journal) if number >= self._segment]
            if not known:
                return
            if known[0] > self._segment:
                self._segment, self._offset = known[0], SEGMENT_HEADER.size
            yield from self._read_segment(skip_torn=not alive, usual=usual)
            # Only a segment that had a successor before it was read to its end is sealed.
            if known[-1] == self._segment:
                return
            if alive and not self._at_end():
                return
            self._segment, self._offset = self._segment + 1, SEGMENT_HEADER.size

    def _at_end(self) -> bool:
        """Say whether nothing is left to read in the segment, not even a frame that is being written."""
        with OpenSegment(self._journal, self._segment, self._offset) as segment:
            for _ in segment.frames(skip_torn=True):
                break
            return segment.offset == self._offset

    def _read_segment(self, *, skip_torn: bool, usual: Usual | None) -> Iterator[Iterator[Ended]]:
        given = self._cursor.offset if self._cursor.segment == self._segment else 0
        take = partial(usual, given) if usual is not None else None
        with OpenSegment(self._journal, self._segment, self._offset) as segment:
            for payloads in segment.portions(skip_torn=skip_torn, take=take):
                yield self._ended(segment, payloads, given)
            self._offset = segment.offset

    def _ended(self, segment: OpenSegment, payloads: Iterator[bytes], given: int) -> Iterator[Ended]:
        for payload in payloads:
            self._offset = segment.offset
            try:
                ended = self.activities.take(payload)
            except NOT_UNDERSTOOD:
                continue
            if segment.offset <= given:
                self.activities.logs.clear()
                self.activities.points.clear()
            elif ended is not None:
                yield ended
        self._offset = segment.offset
