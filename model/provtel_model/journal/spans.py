"""From the frames of an ended activity straight to the bytes of its OTLP span.

What a definition and a context say is the same for thousands of spans and is encoded once; of the rest, numbers and
short texts are put between bytes that were made ready for them. That takes a sixth of the time of the way by the
record, which is taken where a frame has facts of its own: an error, links, telemetry. Both ways give the same record.

Where `_transcode` was compiled, it reads the frames of usual activities itself and writes their spans in a tenth of the
time; it gives the same bytes as the code here. Tests hold all three equal.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any, Final

from provtel_model import attributes as names
from provtel_model import compiled
from provtel_model.components import Batch, Signal
from provtel_model.hashing import canonical_bytes
from provtel_model.journal.activities import NOT_UNDERSTOOD, Activities, Shared
from provtel_model.journal.layout import Status
from provtel_model.journal.records import DefinitionFacts, Ended, Started, origin_within, record_of
from provtel_model.otlp import wire
from provtel_model.otlp.encode import MAX_BYTES, encode_span, group
from provtel_model.otlp.mapping import to_attributes
from provtel_model.otlp.pieces import split

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from provtel_model.anyvalue import AnyValue
    from provtel_model.record import PlainRecord

_transcode: Final = compiled.load("provtel_model.journal._transcode")

_FINISHED: Final = Status.FINISHED.value
_SHORT: Final = 60
_MAX_KEY: Final = 40
_ONE_BYTE: Final = 100
"""Below it the length of a message, and of all that is put around it here, is one byte."""
_DOUBLE: Final = struct.Struct("<d").pack

_ATTRIBUTE: Final = b"\x4a"
_ATTRIBUTES: Final = {"attributes"}
_OTHERWISE: Final = (
    *(names.PROV_ACTIVITY_TYPE, names.PROV_ACTIVITY_STATE, names.PROV_USED, names.PROV_GENERATED),
    *(names.TASK_CPU_USER, names.TASK_CPU_SYSTEM),
)
"""Attributes that a span gets by other ways than its facts."""
_MAX_GROUPS: Final = 16
"""So many compiled code writes."""
_SPAN: Final = 2
_IDS: Final = struct.Struct(">H16sHQ").pack
_IDS_AND_PARENT: Final = struct.Struct(">H16sHQHQ").pack
_TIME: Final = struct.Struct("<BQ").pack


class _Unusual(Exception):  # noqa: N818  # it says which way to take, and is no error
    """The activity has something that takes the way by the record."""


class Spans:
    """The spans of one journal, as they are built, until a batch takes them.

    Args:
        activities: What the journal's frames said.
    """

    def __init__(self, activities: Activities) -> None:
        """Begin with nothing encoded."""
        self.items = 0
        """How many spans wait for a batch."""
        self._activities = activities
        self._templates: dict[tuple[int, int], _Template] = {}
        self._shared: dict[tuple[int, int], Shared] = {}
        self._groups = [_Group(_PROCESS)]
        self._group_numbers = {b"": 0}

    @property
    def usual(self) -> Any:
        """What reads the frames of usual activities itself; None where that was not compiled, or may not be."""
        return None if _transcode is None or self._activities.redefined else self._take

    def add(self, ended: Ended) -> None:
        """Build the span of an activity; one that cannot be understood is left out."""
        try:
            span = self.build(ended)
        except NOT_UNDERSTOOD:
            return
        self._groups[self._template(ended.start).group].written.append(wire.sized(_SPAN, span))
        self.items += 1

    def _group_of(self, definition: DefinitionFacts) -> int:
        """Return the number of the group of a definition's spans; those of a tracer have a scope of their own."""
        if not definition.is_span:
            return 0
        key = canonical_bytes({key: definition.facts.get(key) for key in ("resource", "scope")})
        if key not in self._group_numbers:
            self._group_numbers[key] = len(self._groups)
            self._groups.append(_Group(definition))
        return self._group_numbers[key]

    def batches(self) -> Iterator[Batch]:
        """Yield what was built, as one request where it is not too large, and begin anew."""
        parts: list[bytes] = []
        for each in self._groups:
            if each.written:
                origin = origin_within(each.definition, self._activities.origin)
                parts += group(origin["resource"], origin["scope"], each.written)
                each.written = []
        batch = Batch(Signal.TRACES, b"".join(parts), self.items)
        self.items = 0
        return iter(split(batch, MAX_BYTES, "bytes"))

    def build(self, ended: Ended) -> bytes:
        """Return the content of the ``Span`` of an activity.

        Raises:
            Exception: One of `NOT_UNDERSTOOD`.
        """
        start, end, _origin = ended
        if end[2] == _FINISHED:
            try:
                return self._template(start).fill(start.items, end)
            except _Unusual:
                pass
        return encode_span(record_of(ended))

    def _template(self, start: Started) -> _Template:
        key = (start.definition.number, start.context_number)
        template = self._templates.get(key)
        if template is None or not template.is_of(start):
            template = self._templates[key] = _Template(start, self._group_of(start.definition))
            if template.usual and template.group < _MAX_GROUPS:
                self._shared[key] = template.shared
        return template

    def _take(self, given: int, buffer: bytes, at: int, offset: int) -> int:
        if self._activities.redefined:
            return at
        activities = self._activities
        stopped, items, last_time, spans = _transcode.take(  # type: ignore[union-attr]  # without it nobody calls this
            buffer, at, given - offset + at, activities.open, self._shared
        )
        for number, written in enumerate(spans):
            if written:
                self._groups[number].written.append(written)
        self.items += items
        activities.last_time = max(activities.last_time, last_time)
        return int(stopped)


_START_ITEMS: Final = 7
_END_ITEMS: Final = 6


class _Group:
    """Spans that have resource and scope in common, encoded, until a batch takes them.

    Args:
        definition: One of those that they are of.
    """

    def __init__(self, definition: DefinitionFacts) -> None:
        self.definition = definition
        self.written: list[bytes] = []


_PROCESS: Final = DefinitionFacts(0, [], [], {})
"""Stands for what says no more of its scope than its process does."""


class _Template:
    """What all spans of one definition in one context have in common."""

    def __init__(self, start: Started, group: int) -> None:
        definition, context = start.definition, start.context
        plain: PlainRecord = {**definition.facts, **context, "trace_id": "", "span_id": "", "started_at": 0}  # type: ignore[typeddict-item]  # the facts of a plain record
        self._used = _Roles(names.PROV_USED, definition.used)
        self._generated = _Roles(names.PROV_GENERATED, definition.generated)
        self.usual = "telemetry" not in plain and self._used.usual and self._generated.usual
        """Whether any activity can be built by it."""
        self.group = group
        common = to_attributes(plain)
        self._taken = {*common, *_OTHERWISE}
        self._static = wire.text(5, plain["name"]) + wire.number(6, plain.get("span_kind", 0))
        self._static += wire.key_values(9, common)
        self.shared = Shared(
            self._static,
            self._used.key,
            self._used.keys,
            self._generated.key,
            self._generated.keys,
            _CPU_USER[:-1],
            _CPU_SYSTEM[:-1],
            tuple(name.encode() for name in self._taken),
            group,
            definition,
            context,
        )

    def is_of(self, start: Started) -> bool:
        """Say whether a start refers to the very definition and context that it was made of."""
        return self.shared.definition is start.definition and self.shared.context is start.context

    def fill(self, start: Sequence[Any], end: Sequence[Any]) -> bytes:
        """Return the span of one activity.

        Raises:
            _Unusual: The way by the record has to be taken.
        """
        _definition, _context, trace, span, parent, started_at, used = start[:_START_ITEMS]
        _span, ended_at, _status, generated, cpu_user, cpu_system = end[:_END_ITEMS]
        first, last = self._attributes(start, _START_ITEMS), self._attributes(end, _END_ITEMS)
        if not self.usual or (first and last and first.keys() & last.keys()):
            raise _Unusual
        return b"".join(
            (
                _IDS(0x0A10, trace, 0x1208, span)
                if parent is None
                else _IDS_AND_PARENT(0x0A10, trace, 0x1208, span, 0x2208, parent),
                self._static,
                _TIME(0x39, started_at),
                self._used.fill(used),
                wire.key_values(9, first),
                _TIME(0x41, ended_at),
                self._generated.fill(generated),
                # The clock counts finer, the kernel not much; more digits are the float's.
                b"" if cpu_user is None else _CPU(_CPU_USER, round(cpu_user, 6), _CPU_SYSTEM, round(cpu_system, 6)),
                wire.key_values(9, last),
            )
        )

    def _attributes(self, items: Sequence[Any], at: int) -> dict[str, AnyValue]:
        """Return the attributes in the facts at the end of a frame, where they are all that is there."""
        if len(items) == at:
            return {}
        facts = items[at]
        if len(items) > at + 1 or facts.keys() != _ATTRIBUTES:
            raise _Unusual
        attributes: dict[str, AnyValue] = facts["attributes"]
        if type(attributes) is not dict or not self._taken.isdisjoint(attributes):
            raise _Unusual
        return attributes


class _Roles:
    """One of the two value maps of a definition's activities, whose keys are known."""

    def __init__(self, attribute: str, roles: list[str]) -> None:
        self.key = wire.sized(1, attribute.encode())
        self.keys = tuple(wire.sized(1, role.encode()) for role in roles)
        self.usual = len(set(roles)) == len(roles)
        self._floats = [_frame(key, b"\x21", 8) for key in self.keys]
        # By the length of the varint; a long key takes the long way.
        self._ints = [
            [_frame(key, b"\x18", size) for size in range(11)] if len(key) <= _MAX_KEY else None for key in self.keys
        ]
        self._count = len(roles)

    def fill(self, values: list[AnyValue] | dict[str, AnyValue] | None) -> bytes:
        """Return the span attribute that holds values in the order of the roles.

        Raises:
            _Unusual: There are more values than roles.
        """
        if not values:
            return b""
        content = self._listed(values) if type(values) is list else _mapped(values)
        size = len(content)
        if size < _ONE_BYTE:
            return b"\x4a%c%b\x12%c\x32%c%b" % (size + len(self.key) + 4, self.key, size + 2, size, content)
        content = wire.sized(6, content)
        return wire.sized(9, self.key + b"\x12" + wire.varint(len(content)) + content)

    def _listed(self, values: list[AnyValue]) -> bytes:
        if len(values) > self._count:
            raise _Unusual
        parts = []
        at = 0
        for value in values:
            kind = type(value)
            if kind is float:
                parts.append(self._floats[at] + _DOUBLE(value))
            elif kind is int and (frames := self._ints[at]):
                number = wire.varint(value)  # type: ignore[arg-type]  # its type is int
                parts.append(frames[len(number)] + number)
            elif kind is str and self._ints[at] and len(value) <= _SHORT and value.isascii():  # type: ignore[arg-type, union-attr]  # a str
                text = value.encode()  # type: ignore[union-attr]  # as above
                parts.append(_frame(self.keys[at], b"\x0a%c" % len(text), len(text)) + text)
            else:
                parts.append(wire.sized(1, wire.keyed(self.keys[at], value)))
            at += 1  # noqa: SIM113  # enumerate costs a tuple for each value here
        return b"".join(parts)


def _mapped(values: Any) -> bytes:
    if type(values) is not dict:
        raise _Unusual
    return wire.key_values(1, values)


def _frame(key: bytes, tag: bytes, size: int) -> bytes:
    """Return all of a ``KeyValue`` in a list of them but the last `size` bytes; short ones have lengths of a byte."""
    inner = len(tag) + size
    return b"\x0a%b%b\x12%c%b" % (wire.varint(len(key) + 2 + inner), key, inner, tag)


def _cost(name: str) -> bytes:
    key = wire.sized(1, name.encode())
    return _ATTRIBUTE + b"%c%b\x12\x09\x21" % (len(key) + 11, key)


_CPU_USER: Final = _cost(names.TASK_CPU_USER)
_CPU_SYSTEM: Final = _cost(names.TASK_CPU_SYSTEM)
_CPU: Final = struct.Struct(f"<{len(_CPU_USER)}sd{len(_CPU_SYSTEM)}sd").pack
