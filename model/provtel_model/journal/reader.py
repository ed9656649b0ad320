"""From frames to plain records: reads one journal, from a cursor on, as often as it grows."""

from __future__ import annotations

import os
import zlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Self, cast

import ormsgpack

from provtel_model import attributes as names
from provtel_model.errors import MalformedError
from provtel_model.journal.layout import (
    FRAME_HEADER,
    SEGMENT_HEADER,
    Cursor,
    Kind,
    ProcessFacts,
    Status,
    check_segment_header,
    segment_name,
    segment_number,
)
from provtel_model.record import PlainRecord, State, record_id

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from provtel_model.anyvalue import AnyValue

_CHUNK: Final = 256 * 1024
_STATES: Final = {Status.FINISHED: State.FINISHED, Status.ERROR: State.ERROR, Status.CANCELLED: State.CANCELLED}


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
    with _Segment(journal, numbers[0]) as segment:
        for payload in segment.frames(skip_torn=False):
            return ProcessFacts.from_payload(payload)
    msg = f"{journal} has an empty segment"
    raise MalformedError(msg)


class _Segment:
    """An open segment and how far it was read."""

    def __init__(self, journal: Path, number: int, offset: int = SEGMENT_HEADER.size) -> None:
        self._file = os.open(journal / segment_name(number), os.O_RDONLY | os.O_CLOEXEC)
        self.offset = offset
        try:
            check_segment_header(os.pread(self._file, SEGMENT_HEADER.size, 0))
        except MalformedError:
            os.close(self._file)
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._file)

    def frames(self, *, skip_torn: bool) -> Iterator[bytes]:
        """Yield payloads from the offset on, which moves behind each before it is yielded.

        A frame whose CRC does not fit is being written where the writer lives: there the reading ends, to go on
        another time. Where it does not, the frame is torn and is skipped.
        """
        buffer, start = b"", self.offset
        size = os.fstat(self._file).st_size
        while True:
            needed = FRAME_HEADER.size
            at = self.offset - start
            if len(buffer) - at >= needed:
                length, crc = FRAME_HEADER.unpack_from(buffer, at)
                if not length:
                    return
                needed += length
                if len(buffer) - at >= needed:
                    payload = buffer[at + FRAME_HEADER.size : at + needed]
                    intact = zlib.crc32(payload) == crc
                    if not intact and not skip_torn:
                        return
                    self.offset += needed
                    if intact:
                        yield payload
                    continue
            start = self.offset
            if start + needed > size:
                return
            buffer = os.pread(self._file, max(needed, _CHUNK), start)


@dataclass(slots=True)
class _Interned:
    """What the starts of a journal refer to by number."""

    definitions: dict[int, tuple[list[str], list[str], dict[str, Any]]] = field(default_factory=dict)
    contexts: dict[int, dict[str, Any]] = field(default_factory=dict)


class JournalReader:
    """Reads a journal from a cursor on; keeps what is open, so that it can go on when the journal has grown.

    Args:
        journal: The journal's folder.
        cursor: Ends before it are not given again.
    """

    def __init__(self, journal: Path, cursor: Cursor) -> None:
        self._journal = journal
        self._cursor = cursor
        self._position = Cursor(cursor.segment, SEGMENT_HEADER.size)
        self._origin: dict[str, Any] = {}
        self._interned = _Interned()
        self._open: dict[int, list[Any]] = {}
        self._last_time = 0

    @property
    def position(self) -> Cursor:
        """Behind the last frame that was read."""
        return self._position

    def ended(self, *, alive: bool) -> Iterator[tuple[PlainRecord, int]]:
        """Yield activities that ended since the cursor and were not given yet, each with its size in the journal.

        Args:
            alive: The writer may still write.
        """
        while True:
            known = [number for number in segments(self._journal) if number >= self._position.segment]
            if not known:
                return
            if known[0] > self._position.segment:
                self._position = Cursor(known[0], SEGMENT_HEADER.size)
            yield from self._read_segment(skip_torn=not alive)
            # Only a segment that had a successor before it was read to its end is sealed.
            if known[-1] == self._position.segment:
                return
            if alive and not self._at_end():
                return
            self._position = Cursor(self._position.segment + 1, SEGMENT_HEADER.size)

    def open(self, status: State, seen_at: int | None = None) -> Iterator[PlainRecord]:
        """Yield the activities that have started and not ended, in the order of their starts.

        Args:
            status: Running or lost.
            seen_at: When the process was last seen alive; without it, the time of its last frame.
        """
        seen = self._last_time if seen_at is None else seen_at
        for start in self._open.values():
            plain = self._record(start)
            plain["status"] = status.value
            plain["last_seen_at"] = max(seen, plain["started_at"])
            yield plain

    def _at_end(self) -> bool:
        """Say whether nothing is left to read in the segment, not even a frame that is being written."""
        with _Segment(self._journal, *self._position) as segment:
            for _ in segment.frames(skip_torn=True):
                break
            return segment.offset == self._position.offset

    def _read_segment(self, *, skip_torn: bool) -> Iterator[tuple[PlainRecord, int]]:
        number = self._position.segment
        with _Segment(self._journal, *self._position) as segment:
            for payload in segment.frames(skip_torn=skip_torn):
                self._position = Cursor(number, segment.offset)
                plain = self._take(payload)
                if plain is not None and self._position > self._cursor:
                    yield plain, len(payload)
            self._position = Cursor(number, segment.offset)

    def _take(self, payload: bytes) -> PlainRecord | None:
        try:
            kind, *items = ormsgpack.unpackb(payload)
            if kind == Kind.START:
                self._take_start(items)
            elif kind == Kind.END:
                return self._take_end(items)
            elif kind == Kind.PROCESS:
                self._origin = _origin(ProcessFacts.from_payload(payload))
            elif kind == Kind.DEFINITION:
                number, used, generated, facts = items
                self._interned.definitions[number] = (used, generated, facts)
            elif kind == Kind.CONTEXT:
                self._interned.contexts[items[0]] = items[1]
        except (ValueError, TypeError, IndexError, KeyError, AttributeError, MalformedError):
            # Its CRC fits, so a later version wrote it: what this one does not understand is left out.
            return None
        return None

    def _take_start(self, items: list[Any]) -> None:
        # Resolved only when the end comes; most ends come soon.
        definition, context, _trace, span, _parent, started_at = items[:6]
        items[0], items[1] = self._interned.definitions[definition], self._interned.contexts[context]
        self._open[span] = items
        self._last_time = max(self._last_time, started_at)

    def _take_end(self, items: list[Any]) -> PlainRecord | None:
        span, ended_at, status, generated, cpu_user, cpu_system = items[:6]
        start = self._open.pop(span, None)
        self._last_time = max(self._last_time, ended_at)
        if start is None:
            return None
        plain = self._record(start)
        plain["status"] = _STATES[status].value
        plain["ended_at"] = ended_at
        if generated := _by_role(start[0][1], generated):
            plain["generated"] = generated
        if cpu_user is not None:
            # The kernel counts microseconds; more digits are the float's.
            cost = {_CPU_USER: round(cpu_user, 6), _CPU_SYSTEM: round(cpu_system, 6)}
            plain["telemetry"] = {**plain.get("telemetry", {}), **cost}
        if len(items) > 6:  # noqa: PLR2004  # the facts, which most ends have not
            _add_facts(plain, items[6])
        _add_exception_event(plain)
        return plain

    def _record(self, start: list[Any]) -> PlainRecord:
        (roles, _, facts), context, trace, span, parent, started_at, used = start[:7]
        trace_id = trace.hex()
        plain: dict[str, Any] = {
            "trace_id": trace_id,
            "span_id": f"{span:016x}",
            **facts,
            **context,
            "started_at": started_at,
            **self._origin,
        }
        if parent is not None:
            plain["parent_id"] = record_id(trace_id, f"{parent:016x}")
        if used := _by_role(roles, used):
            plain["used"] = used
        result = cast("PlainRecord", plain)
        if len(start) > 7:  # noqa: PLR2004  # the facts, which most starts have not
            _add_facts(result, start[7])
        return result


_CPU_USER: Final = names.TASK_CPU_USER.removeprefix(names.TASK_PREFIX)
_CPU_SYSTEM: Final = names.TASK_CPU_SYSTEM.removeprefix(names.TASK_PREFIX)


def _by_role(roles: list[str], values: list[AnyValue] | dict[str, AnyValue] | None) -> dict[str, AnyValue]:
    if isinstance(values, list):
        return dict(zip(roles, values, strict=False))
    return values or {}


def _add_facts(plain: PlainRecord, facts: dict[str, Any]) -> None:
    target = cast("dict[str, Any]", plain)
    for key, value in facts.items():
        known = target.get(key)
        if isinstance(known, dict):
            target[key] = {**known, **value}
        elif isinstance(known, list):
            target[key] = known + value
        else:
            target[key] = value


def _add_exception_event(plain: PlainRecord) -> None:
    """Give an error the span event by which it travels; the journal has it once."""
    if "error" not in plain:
        return
    error = plain["error"]
    said = {
        names.EXCEPTION_TYPE: error.get("type"),
        names.EXCEPTION_MESSAGE: error.get("message"),
        names.EXCEPTION_STACKTRACE: error.get("stacktrace"),
    }
    attributes: dict[str, AnyValue] = {name: value for name, value in said.items() if value is not None}
    plain["events"] = [
        *plain.get("events", ()),
        {"name": names.EXCEPTION_EVENT, "time": plain["ended_at"], "attributes": attributes},
    ]


def _origin(process: ProcessFacts) -> dict[str, Any]:
    """Return what every record of a process has in common."""
    resource = process.resource
    result: dict[str, Any] = {
        "resource": resource,
        "scope": {"name": names.SCOPE_NAME, "version": process.version},
    }
    for name, key in ((names.HOST_NAME, "host"), (names.PROCESS_PID, "pid"), (names.MPI_RANK, "rank")):
        if name in resource:
            result[key] = resource[name]
    return result
