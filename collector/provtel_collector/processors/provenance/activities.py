"""What tells of activities: spans, and log records with an event of ours."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from provtel_model import attributes as names
from provtel_model.components import Signal

from provtel_collector.attribute_lists import get
from provtel_collector.requests import walk

if TYPE_CHECKING:
    from collections.abc import Iterator

_EVENTS: Final = frozenset({names.EVENT_STARTED, names.EVENT_HEARTBEAT, names.EVENT_LOST})


@dataclass(frozen=True, slots=True)
class Activity:
    """A span or a log record, and what both say of an activity.

    Args:
        trace_id: Its trace, as bytes.
        span_id: Its span, as bytes.
        parent_id: The span of its parent; empty where it has none.
        started_at: When it began.
        ended_at: When it ended; 0 where it has not.
        attributes: Its attributes, in the message.
        values: The same by key, as they came.
    """

    trace_id: bytes
    span_id: bytes
    parent_id: bytes
    started_at: int
    ended_at: int
    attributes: Any
    values: Mapping[str, Any] = field(init=False)

    def __post_init__(self) -> None:
        """Look at each attribute once."""
        object.__setattr__(self, "values", {pair.key: pair.value for pair in self.attributes})


def activities(signal: Signal, request: Any) -> Iterator[Activity]:
    """Yield the activities that a request tells of."""
    for _, _, item in walk(signal, request):
        if signal is Signal.TRACES:
            yield Activity(
                item.trace_id,
                item.span_id,
                item.parent_span_id,
                item.start_time_unix_nano,
                item.end_time_unix_nano,
                item.attributes,
            )
        elif signal is Signal.LOGS and item.event_name in _EVENTS:
            yield Activity(item.trace_id, item.span_id, _parent(item.attributes), 0, 0, item.attributes)


def _parent(attributes: Any) -> bytes:
    found = get(attributes, names.PROV_ACTIVITY_PARENT_ID)
    try:
        return bytes.fromhex(found.string_value) if found is not None else b""
    except ValueError:
        return b""
