"""What is wrong with an activity as it came."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from provtel_model.otlp.decode import value_of
from provtel_model.otlp.mapping import TYPED, fits

if TYPE_CHECKING:
    from collections.abc import Iterator

    from provtel_collector.processors.provenance.activities import Activity

_TRACE_BYTES: Final = 16
_SPAN_BYTES: Final = 8


def problems(activity: Activity) -> Iterator[str]:
    """Yield what is wrong: ``ids`` that address nothing, ``times`` that run backwards, ``types`` of attributes."""
    if not (_is_id(activity.trace_id, _TRACE_BYTES) and _is_id(activity.span_id, _SPAN_BYTES)):
        yield "ids"
    if 0 < activity.ended_at < activity.started_at:
        yield "times"
    if not all(fits(name, value_of(activity.values[name])) for name in TYPED & activity.values.keys()):
        yield "types"


def _is_id(found: bytes, length: int) -> bool:
    return len(found) == length and any(found)
