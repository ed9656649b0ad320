"""From frames to activities: reads one journal, from a cursor on, as often as it grows."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

import ormsgpack

from provtel_model.errors import MalformedError
from provtel_model.journal.frames import OpenSegment
from provtel_model.journal.layout import SEGMENT_HEADER, Cursor, Kind, ProcessFacts, segment_number
from provtel_model.journal.records import DefinitionFacts, Ended, Started, open_record_of, origin_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from provtel_model.anyvalue import AnyValue
    from provtel_model.record import PlainRecord, PlainScope, State

_START: Final = Kind.START.value
_END: Final = Kind.END.value
_NOT_UNDERSTOOD: Final = (
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    OverflowError,
    struct.error,
    MalformedError,
)
_Built = TypeVar("_Built")


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


class JournalReader(Generic[_Built]):
    """Reads a journal from a cursor on; keeps what is open, so that it can go on when the journal has grown.

    Args:
        journal: The journal's folder.
        cursor: Ends before it are not given again.
        build: Makes what is wanted of an activity that ended.
    """

    def __init__(self, journal: Path, cursor: Cursor, build: Callable[[Ended], _Built]) -> None:
        """Begin at the start of the cursor's segment, whose frames those after the cursor refer to."""
        self._journal = journal
        self._cursor = cursor
        self._build = build
        self._segment = cursor.segment
        self._offset = SEGMENT_HEADER.size
        self._origin: dict[str, Any] = {}
        self._definitions: dict[int, DefinitionFacts] = {}
        self._contexts: dict[int, dict[str, Any]] = {}
        self._open: dict[int, Started] = {}
        self._last_time = 0

    @property
    def position(self) -> Cursor:
        """Behind the last frame that was read."""
        return Cursor(self._segment, self._offset)

    @property
    def resource(self) -> dict[str, AnyValue]:
        """The OTel resource of the process that wrote what was read."""
        resource: dict[str, AnyValue] = self._origin.get("resource", {})
        return resource

    @property
    def scope(self) -> PlainScope:
        """The instrumentation scope of what was read."""
        scope: PlainScope = self._origin.get("scope", {})
        return scope

    def ended(self, *, alive: bool) -> Iterator[tuple[_Built, int]]:
        """Yield activities that ended since the cursor and were not given yet, each with its size in the journal.

        Args:
            alive: The writer may still write.
        """
        while True:
            known = [number for number in segments(self._journal) if number >= self._segment]
            if not known:
                return
            if known[0] > self._segment:
                self._segment, self._offset = known[0], SEGMENT_HEADER.size
            yield from self._read_segment(skip_torn=not alive)
            # Only a segment that had a successor before it was read to its end is sealed.
            if known[-1] == self._segment:
                return
            if alive and not self._at_end():
                return
            self._segment, self._offset = self._segment + 1, SEGMENT_HEADER.size

    def open(self, status: State, seen_at: int | None = None) -> Iterator[PlainRecord]:
        """Yield the activities that have started and not ended, in the order of their starts.

        Args:
            status: Running or lost.
            seen_at: When the process was last seen alive; without it, the time of its last frame.
        """
        seen = self._last_time if seen_at is None else seen_at
        for start in self._open.values():
            yield open_record_of(start, self._origin, status, seen)

    def _at_end(self) -> bool:
        """Say whether nothing is left to read in the segment, not even a frame that is being written."""
        with OpenSegment(self._journal, self._segment, self._offset) as segment:
            for _ in segment.frames(skip_torn=True):
                break
            return segment.offset == self._offset

    def _read_segment(self, *, skip_torn: bool) -> Iterator[tuple[_Built, int]]:
        given = self._cursor.offset if self._cursor.segment == self._segment else 0
        with OpenSegment(self._journal, self._segment, self._offset) as segment:
            for payload in segment.frames(skip_torn=skip_torn):
                self._offset = segment.offset
                try:
                    ended = self._take(payload)
                    if ended is not None and segment.offset > given:
                        built = self._build(ended)
                    else:
                        continue
                except _NOT_UNDERSTOOD:
                    # Its CRC fits, so a later version wrote it: what this one does not understand is left out.
                    continue
                yield built, len(payload)
            self._offset = segment.offset

    def _take(self, payload: bytes) -> Ended | None:
        kind, *items = ormsgpack.unpackb(payload)
        if kind == _END:
            start = self._open.pop(items[0], None)
            self._last_time = max(self._last_time, items[1])
            return None if start is None else Ended(start, items, self._origin)
        if kind == _START:
            self._open[items[3]] = Started(self._definitions[items[0]], self._contexts[items[1]], items)
            self._last_time = max(self._last_time, items[5])
        else:
            self._take_facts(kind, items, payload)
        return None

    def _take_facts(self, kind: int, items: list[Any], payload: bytes) -> None:
        if kind == Kind.PROCESS:
            self._origin = origin_of(ProcessFacts.from_payload(payload))
        elif kind == Kind.DEFINITION:
            definition = DefinitionFacts(*items)
            self._definitions[definition.number] = definition
        elif kind == Kind.CONTEXT:
            self._contexts[items[0]] = items[1]
