"""What the frames read so far have said: who writes, what was defined, which activities are open."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import ormsgpack

from provtel_model.errors import MalformedError
from provtel_model.journal.layout import Kind, ProcessFacts
from provtel_model.journal.records import DefinitionFacts, Ended, Started, log_of, open_record_of, origin_of, points_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from provtel_model.record import PlainRecord, State
    from provtel_model.telemetry import PlainLog, PlainPoint

_START: Final = Kind.START.value
_END: Final = Kind.END.value
_LOG: Final = Kind.LOG.value
_POINTS: Final = Kind.POINTS.value
_DATA: Final = frozenset({type(None), list, dict})
NOT_UNDERSTOOD: Final = (
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    OverflowError,
    RecursionError,
    struct.error,
    MalformedError,
)
"""What a payload raises whose CRC fits and which still makes no sense: a later version wrote it; it is left out."""


class Shared(NamedTuple):
    """What all activities of one definition in one context have in common, encoded; compiled code reads it by place."""

    static: bytes
    used_key: bytes
    used_roles: tuple[bytes, ...]
    generated_key: bytes
    generated_roles: tuple[bytes, ...]
    cpu_user: bytes
    cpu_system: bytes
    attributes: tuple[bytes, ...]
    """Names of the attributes that are in `static`, or that the span gets by other ways."""
    group: int
    """Spans of one group have their scope in common."""
    definition: DefinitionFacts
    context: dict[str, Any]


class Activities:
    """Takes the frames of one journal, in their order."""

    def __init__(self) -> None:
        """Begin before the first frame."""
        self.origin: dict[str, Any] = {}
        self.open: dict[int, Started | tuple[Shared, bytes]] = {}
        """By span id; of what compiled code took, the payload of its start with what it shares."""
        self.last_time = 0
        """The latest time that a frame told."""
        self.logs: list[PlainLog] = []
        """The log records that were taken, until somebody takes them from here."""
        self.points: list[PlainPoint] = []
        """The data points of metrics, likewise."""
        self.redefined = False
        """Whether a number was given to something else, which no writer of ours does."""
        self._definitions: dict[int, DefinitionFacts] = {}
        self._contexts: dict[int, dict[str, Any]] = {}

    def take(self, payload: bytes) -> Ended | None:
        """Take a frame; return the activity that it ends, if it does.

        Raises:
            Exception: One of `NOT_UNDERSTOOD`.
        """
        items = ormsgpack.unpackb(payload)
        kind = items.pop(0)
        if kind == _END:
            start, ended_at = self.open.pop(items[0], None), items[1]
            self._see(ended_at)
            return None if start is None else Ended(_unfolded(start), items, self.origin)
        if kind == _START:
            definition, context, trace, span, parent, started_at, used = items[:7]
            # What could not be told while it is open is not kept.
            if not (type(trace) is bytes and type(span) is int and span >= 0 and type(used) in _DATA):
                raise TypeError
            if parent is not None and not (type(parent) is int and parent >= 0):
                raise TypeError
            if not all(type(facts) is dict for facts in items[7:8]):
                raise TypeError
            self._see(started_at)
            self.open[span] = Started(self._definitions[definition], self._contexts[context], items)
        elif kind == _LOG:
            self.logs.append(log_of(items[0], self.origin))
        elif kind == _POINTS:
            self.points += points_of(items, self.origin)
        else:
            self._take_facts(kind, items, payload)
        return None

    def _see(self, time: Any) -> None:
        if type(time) is not int or time < 0:
            raise TypeError
        self.last_time = max(self.last_time, time)

    def records(self, status: State, seen_at: int | None = None) -> Iterator[PlainRecord]:
        """Yield those that have started and not ended, in the order of their starts.

        Args:
            status: Running or lost.
            seen_at: When the process was last seen alive; without it, the time of its last frame.
        """
        seen = self.last_time if seen_at is None else seen_at
        for start in self.open.values():
            yield open_record_of(_unfolded(start), self.origin, status, seen)

    def _take_facts(self, kind: int, items: list[Any], payload: bytes) -> None:
        if kind == Kind.PROCESS:
            self.origin = origin_of(ProcessFacts.from_payload(payload))
        elif kind == Kind.DEFINITION:
            definition = DefinitionFacts(*items)
            self._define(self._definitions, definition.number, definition)
        elif kind == Kind.CONTEXT:
            self._define(self._contexts, items[0], items[1])

    def _define(self, known: dict[int, Any], number: int, facts: Any) -> None:
        # Each segment repeats what it refers to; the same object says that it is still the same.
        if number not in known:
            known[number] = facts
        elif known[number] != facts:
            known[number] = facts
            self.redefined = True


def _unfolded(start: Started | tuple[Shared, bytes]) -> Started:
    if isinstance(start, Started):
        return start
    shared, payload = start
    return Started(shared.definition, shared.context, ormsgpack.unpackb(payload)[1:])
