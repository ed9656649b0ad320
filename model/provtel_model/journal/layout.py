"""The journal's layout on disk, version 1: names, segment header, frames, and what each frame's payload holds.

A journal is one folder a process, written by one writer. Its segments are numbered files: a header, then frames.

===========  ==================================================================================================
``header``   magic ``PROVTELJ``, format version ``u32``, segment number ``u32``
frame        length of the payload ``u32``, CRC-32 of the payload ``u32``, payload; a length of 0 ends the segment
payload      a msgpack array; its first item is its `Kind`
===========  ==================================================================================================

All numbers are little-endian. Each segment can be read alone: it begins with a `Kind.PROCESS` frame, it has the
definition and the context of every start in it, and the starts that were open when it began are copied into it.

========================  ======================================================================================
payload                   items after the kind
========================  ======================================================================================
`Kind.PROCESS`            map of the fields of `ProcessFacts`
`Kind.DEFINITION`         number, roles of `used`, roles of `generated`, facts
`Kind.CONTEXT`            number, facts
`Kind.START`              definition, context, trace id (16 bytes), span id, parent span id or nil, start, used[, facts]
`Kind.END`                span id, end, `Status`, generated, CPU user, CPU system[, facts]
`Kind.LOG`                map of the fields of `provtel_model.telemetry.PlainLog`, without those of the process
`Kind.POINTS`             time, when sums began, metrics: each a map of what its points have in common, and the points
========================  ======================================================================================

Span ids are unsigned 64-bit integers, times nanoseconds since the epoch, CPU seconds or nil. `used` and `generated` are
a list in the order of the definition's roles, or a map, or nil. Facts are maps whose keys are those of
`provtel_model.record.PlainRecord`; where two frames of an activity have the same key, maps and lists add up and the
later of two other values holds. Of two starts with one span id the later one holds alone: a start is written again when
more is known of its activity. Values are in `AnyValue` form. A point is its attributes and its value, of a histogram
its distribution; what points have in common are fields of `provtel_model.telemetry.PlainPoint`.
"""

from __future__ import annotations

import enum
import re
import struct
from dataclasses import asdict, dataclass
from typing import Any, Final, NamedTuple, Self

import ormsgpack

from provtel_model.anyvalue import AnyValue
from provtel_model.errors import MalformedError

MAGIC: Final = b"PROVTELJ"
FORMAT_VERSION: Final = 1
SEGMENT_HEADER: Final = struct.Struct("<8sII")
FRAME_HEADER: Final = struct.Struct("<II")

LOCK_FILE: Final = "lock"
"""The writer holds an exclusive ``flock`` on it as long as it lives."""
DRAIN_LOCK_FILE: Final = "drain.lock"
"""A drainer holds an exclusive ``flock`` on it while it drains."""
CURSOR_FILE: Final = "drained"
"""The text ``<segment> <offset>``: ends before it were acknowledged."""
DROPPED_FILE: Final = "dropped"
"""The text ``<count> <reason>``: so many activities ended and could not be written; without it none."""

_SEGMENT_NAME: Final = re.compile(r"(\d{8,})\.seg")


class Kind(enum.IntEnum):
    """What a payload holds."""

    PROCESS = 0
    DEFINITION = 1
    CONTEXT = 2
    START = 3
    END = 4
    LOG = 5
    POINTS = 6


class Status(enum.IntEnum):
    """How an activity ended."""

    FINISHED = 0
    ERROR = 1
    CANCELLED = 2


class Cursor(NamedTuple):
    """A place in a journal: an offset in a segment."""

    segment: int
    offset: int


START_OF_JOURNAL: Final = Cursor(0, SEGMENT_HEADER.size)


@dataclass(frozen=True, slots=True)
class ProcessFacts:
    """The writer of a journal.

    Args:
        resource: OTel resource attributes of the process.
        version: Version of provtel that wrote.
        pid: Process id, for people.
        started: When the process started, in the kernel's own unit; tells two processes with one pid apart.
        boot: Id of the kernel's boot: equal for two processes that share a kernel.
        host: Name of the host.
        store: Store folder that the records are for, where it is another one than that in which the journal lies.
        endpoint: OTLP endpoint that the records are for, where they are not for a store.
    """

    resource: dict[str, AnyValue]
    version: str
    pid: int
    started: int
    boot: str
    host: str
    store: str | None = None
    endpoint: str | None = None

    def to_payload(self) -> bytes:
        """Return the payload of the first frame of every segment."""
        return ormsgpack.packb([Kind.PROCESS.value, asdict(self)])

    @classmethod
    def from_payload(cls, payload: bytes) -> Self:
        """Return the facts that a payload holds; keys that a later version added are left out.

        Raises:
            MalformedError: The payload is not a process frame.
        """
        try:
            _kind, facts = ormsgpack.unpackb(payload)
            return cls(**{name: facts[name] for name in cls.__slots__ if name in facts})
        except (ValueError, TypeError) as error:
            msg = "a segment does not begin with the frame of its process"
            raise MalformedError(msg) from error


def segment_name(number: int) -> str:
    """Return the file name of a segment."""
    return f"{number:08d}.seg"


def segment_number(name: str) -> int | None:
    """Return the number of a segment by its file name, or ``None`` for any other file."""
    match = _SEGMENT_NAME.fullmatch(name)
    return int(match[1]) if match else None


def pack_segment_header(number: int) -> bytes:
    """Return the header of a segment."""
    return SEGMENT_HEADER.pack(MAGIC, FORMAT_VERSION, number)


def check_segment_header(header: bytes) -> None:
    """Check that this version can read what follows.

    Raises:
        MalformedError: It is no segment, or one of a later format.
    """
    try:
        magic, version, _number = SEGMENT_HEADER.unpack(header)
    except struct.error:
        magic, version = b"", 0
    if magic != MAGIC:
        msg = "this is no segment of a provtel journal"
        raise MalformedError(msg)
    if version != FORMAT_VERSION:
        msg = f"the segment has format {version}, and this provtel reads format {FORMAT_VERSION}: use a newer one"
        raise MalformedError(msg)


def pack(items: list[Any]) -> bytes:
    """Return the payload of a frame; half characters in its text are spelled out."""
    try:
        return ormsgpack.packb(items)
    except TypeError:
        return ormsgpack.packb(_sayable(items))


def _sayable(value: Any) -> Any:
    match value:
        case str():
            return value.encode("utf-8", "backslashreplace").decode()
        case list() | tuple():
            return [*map(_sayable, value)]
        case dict():
            return {_sayable(key): _sayable(item) for key, item in value.items()}
        case _:
            return value
