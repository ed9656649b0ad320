"""From the frames of an ended activity straight to the bytes of its OTLP span.

What a definition and a context say is the same for thousands of spans and is encoded once; of the rest, numbers and
short texts are put between bytes that were made ready for them. That takes a sixth of the time of the way by the
record, which is taken where an activity has anything unusual: an error, links, containers. Both ways give the same
record; tests hold them equal.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any, Final

from provtel_model import attributes as names
from provtel_model.journal.layout import Status
from provtel_model.journal.records import Ended, record_of
from provtel_model.otlp import wire
from provtel_model.otlp.encode import encode_span
from provtel_model.otlp.mapping import to_attributes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from provtel_model.anyvalue import AnyValue
    from provtel_model.record import PlainRecord

_FINISHED: Final = Status.FINISHED.value
_SHORT: Final = 60
_MAX_KEY: Final = 40
_DOUBLE: Final = struct.Struct("<d").pack

_ATTRIBUTE: Final = b"\x4a"
_IDS: Final = struct.Struct(">H16sHQ").pack
_PARENT: Final = struct.Struct(">HQ").pack
_TIMES: Final = struct.Struct("<BQBQ").pack


class _Unusual(Exception):  # noqa: N818  # it says which way to take, and is no error
    """The activity has something that takes the way by the record."""


class SpanBuilder:
    """Builds the spans of one journal; keeps what is the same for many."""

    def __init__(self) -> None:
        """Begin with nothing encoded."""
        self._templates: dict[tuple[int, int], _Template] = {}

    def __call__(self, ended: Ended) -> bytes:
        """Return the content of the ``Span`` of an activity."""
        start, end, _origin = ended
        if len(start.items) == _START_ITEMS and len(end) == _END_ITEMS and end[2] == _FINISHED:
            key = (start.definition.number, start.context_number)
            template = self._templates.get(key)
            if template is None:
                template = self._templates[key] = _Template(ended)
            try:
                return template.fill(start.items, end)
            except _Unusual:
                pass
        return encode_span(record_of(ended))


_START_ITEMS: Final = 7
_END_ITEMS: Final = 6


class _Template:
    """What all spans of one definition in one context have in common."""

    def __init__(self, ended: Ended) -> None:
        definition, context = ended.start.definition, ended.start.context
        plain: PlainRecord = {**definition.facts, **context, "trace_id": "", "span_id": "", "started_at": 0}  # type: ignore[typeddict-item]  # the facts of a plain record
        self.usual = "telemetry" not in plain
        self._static = wire.text(5, plain["name"]) + wire.key_values(9, to_attributes(plain))
        self._used = _Roles(names.PROV_USED, definition.used)
        self._generated = _Roles(names.PROV_GENERATED, definition.generated)

    def fill(self, start: Sequence[Any], end: Sequence[Any]) -> bytes:
        """Return the span of one activity.

        Raises:
            _Unusual: The way by the record has to be taken.
        """
        _definition, _context, trace, span, parent, started_at, used = start
        _span, ended_at, _status, generated, cpu_user, cpu_system = end
        if not self.usual:
            raise _Unusual
        return b"".join(
            (
                _IDS(0x0A10, trace, 0x1208, span),
                _PARENT(0x2208, parent) if parent is not None else b"",
                self._static,
                _TIMES(0x39, started_at, 0x41, ended_at),
                self._used.fill(used),
                self._generated.fill(generated),
                # The kernel counts microseconds; more digits are the float's.
                b"" if cpu_user is None else _CPU(_CPU_USER, round(cpu_user, 6), _CPU_SYSTEM, round(cpu_system, 6)),
            )
        )


class _Roles:
    """One of the two value maps of a definition's activities, whose keys are known."""

    def __init__(self, attribute: str, roles: list[str]) -> None:
        self._key = wire.sized(1, attribute.encode())
        self._keys = [wire.sized(1, role.encode()) for role in roles]
        self._floats = [_frame(key, b"\x21", 8) for key in self._keys]
        self._usual = all(len(key) <= _MAX_KEY for key in self._keys)
        self._count = len(roles)

    def fill(self, values: list[AnyValue] | None) -> bytes:
        """Return the span attribute that holds values in the order of the roles."""
        if not values:
            return b""
        if type(values) is not list or len(values) > self._count or not self._usual:
            raise _Unusual
        parts = []
        at = 0
        for value in values:
            kind = type(value)
            if kind is float:
                parts.append(self._floats[at] + _DOUBLE(value))
            elif kind is int:
                number = wire.varint(value)  # type: ignore[arg-type]  # its type is int
                parts.append(_frame(self._keys[at], b"\x18", len(number)) + number)
            elif kind is str and len(value) <= _SHORT and value.isascii():  # type: ignore[arg-type, union-attr]  # a str
                text = value.encode()  # type: ignore[union-attr]  # as above
                parts.append(_frame(self._keys[at], b"\x0a%c" % len(text), len(text)) + text)
            else:
                raise _Unusual
            at += 1  # noqa: SIM113  # enumerate costs a tuple for each value here
        content = wire.sized(6, b"".join(parts))
        return wire.sized(9, self._key + b"\x12" + wire.varint(len(content)) + content)


def _frame(key: bytes, tag: bytes, size: int) -> bytes:
    """Return all of a ``KeyValue`` in a list of them but the last `size` bytes; one byte holds each of its lengths."""
    inner = len(tag) + size
    return b"\x0a%c%b\x12%c%b" % (len(key) + 2 + inner, key, inner, tag)


def _cost(name: str) -> bytes:
    key = wire.sized(1, name.encode())
    return _ATTRIBUTE + b"%c%b\x12\x09\x21" % (len(key) + 11, key)


_CPU_USER: Final = _cost(names.TASK_CPU_USER)
_CPU_SYSTEM: Final = _cost(names.TASK_CPU_SYSTEM)
_CPU: Final = struct.Struct(f"<{len(_CPU_USER)}sd{len(_CPU_SYSTEM)}sd").pack
