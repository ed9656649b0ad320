"""From the frames of a tracer's span straight to the bytes of its OTLP span; its attributes are all that is its own."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any, Final

from provtel_model.journal.layout import Status
from provtel_model.otlp import wire
from provtel_model.otlp.mapping import to_attributes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from provtel_model.journal.records import Started
    from provtel_model.record import PlainRecord

_START_ITEMS: Final = 7
_END_ITEMS: Final = 6
_FINISHED: Final = Status.FINISHED.value
_ATTRIBUTES: Final = {"attributes"}
_IDS: Final = struct.Struct(">H16sHQ").pack
_IDS_AND_PARENT: Final = struct.Struct(">H16sHQHQ").pack
_TIMES: Final = struct.Struct("<BQBQ").pack


class TracerTemplate:
    """What all spans of one name of one tracer have in common, in one run.

    Args:
        start: One of them.
    """

    def __init__(self, start: Started) -> None:
        """Encode it."""
        self._definition, self._context = start.definition, start.context
        plain: PlainRecord = {**start.definition.facts, **start.context, "trace_id": "", "span_id": "", "started_at": 0}  # type: ignore[typeddict-item]  # the facts of a plain record
        self._keys = to_attributes(plain).keys()
        self._static = wire.text(5, plain["name"]) + wire.number(6, plain.get("span_kind", 0))
        self._static += wire.key_values(9, to_attributes(plain))

    def is_of(self, start: Started) -> bool:
        """Say whether a start refers to the very definition and run that it was made of."""
        return self._definition is start.definition and self._context is start.context

    def fill(self, start: Sequence[Any], end: Sequence[Any]) -> bytes | None:
        """Return the span of one activity; ``None`` where it has more than attributes, or failed."""
        _definition, _context, trace, span, parent, started_at, _used = start[:_START_ITEMS]
        attributes: dict[str, Any] = {}
        for facts in (*start[_START_ITEMS:], *end[_END_ITEMS:]):
            if facts.keys() != _ATTRIBUTES:
                return None
            attributes = {**attributes, **facts["attributes"]} if attributes else facts["attributes"]
        if end[2] != _FINISHED or end[3:_END_ITEMS] != [None, None, None] or attributes.keys() & self._keys:
            return None
        return b"".join(
            (
                _IDS(0x0A10, trace, 0x1208, span)
                if parent is None
                else _IDS_AND_PARENT(0x0A10, trace, 0x1208, span, 0x2208, parent),
                self._static,
                _TIMES(0x39, started_at, 0x41, end[1]),
                wire.key_values(9, attributes),
            )
        )
