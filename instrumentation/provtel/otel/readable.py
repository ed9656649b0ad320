"""Our spans as the SDK's ``ReadableSpan``, for exporters that know no other; loaded with the first of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from opentelemetry.attributes import BoundedAttributes
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.sdk.util import BoundedList
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode, TraceFlags, TraceState
from provtel_model.record import State

from provtel.otel.beside import SCOPE, stock_attributes
from provtel.version import VERSION

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from provtel_model.record import PlainEvent, PlainLink, PlainRecord, PlainScope

    from provtel.otel.span import RecordingSpan


def reader(resource: Callable[[], Mapping[str, Any]]) -> Callable[[RecordingSpan], ReadableSpan]:
    """Return what makes a readable span of one of ours.

    Args:
        resource: Tells what is known of the process.
    """
    made: list[tuple[Mapping[str, Any], Resource]] = []

    def read(span: RecordingSpan | PlainRecord) -> ReadableSpan:
        known = resource()
        # The SDK's resource is made once: to hash it takes as long as to export a span.
        if not made or made[-1][0] is not known:
            made[:] = [(known, Resource({**known}))]
        return _of_task(span, made[-1][1]) if isinstance(span, dict) else _of_span(span, made[-1][1])

    return read


def _of_task(plain: PlainRecord, resource: Resource) -> ReadableSpan:
    message = plain.get("error", {}).get("message")
    failed = plain["status"] == State.ERROR
    parent = plain.get("parent_id")
    dropped: Mapping[str, Any] = plain.get("dropped", {})
    return ReadableSpan(
        name=plain["name"],
        context=_context(plain["trace_id"], plain["span_id"]),
        parent=_context(plain["trace_id"], parent.partition("-")[2]) if parent else None,
        resource=resource,
        attributes=_plain(stock_attributes(plain), dropped.get("attributes")),
        events=_all(_events(plain.get("events", ())), dropped.get("events")),
        links=_all([_link(link) for link in plain.get("links", ())], dropped.get("links")),
        kind=SpanKind.INTERNAL,
        status=Status(StatusCode.ERROR, message) if failed else Status(),
        start_time=plain["started_at"],
        end_time=plain["ended_at"],
        instrumentation_scope=InstrumentationScope(SCOPE, VERSION),
    )


def _of_span(span: RecordingSpan, resource: Resource) -> ReadableSpan:
    scope: PlainScope = span.scope.plain
    dropped: Mapping[str, Any] = span.facts.get("dropped", {})
    return ReadableSpan(
        name=span.name,
        context=span.get_span_context(),
        parent=span.parent,
        resource=resource,
        attributes=_plain(span.attributes, dropped.get("attributes")),
        events=_all(_events(span.events), dropped.get("events")),
        links=_all([_link(link) for link in span.links], dropped.get("links")),
        kind=span.kind,
        status=span.status,
        start_time=span.start_time,
        end_time=span.end_time,
        instrumentation_scope=InstrumentationScope(
            scope.get("name", ""), scope.get("version"), scope.get("schema_url"), scope.get("attributes")
        ),
    )


def _events(events: Iterable[PlainEvent]) -> list[Event]:
    return [
        Event(event["name"], _plain(event.get("attributes", {}), event.get("dropped")), event["time"])
        for event in events
    ]


def _link(link: PlainLink) -> Link:
    state = TraceState.from_header([link["trace_state"]]) if "trace_state" in link else None
    return Link(
        _context(link["trace_id"], link["span_id"], state), _plain(link.get("attributes", {}), link.get("dropped"))
    )


def _context(trace_id: str, span_id: str, state: TraceState | None = None) -> SpanContext:
    flags = TraceFlags(TraceFlags.SAMPLED)
    return SpanContext(int(trace_id, 16), int(span_id, 16), is_remote=False, trace_flags=flags, trace_state=state)


def _plain(attributes: Mapping[str, Any], dropped: int | None) -> Mapping[str, Any]:
    """Return attributes as the SDK keeps them: what was a sequence is a tuple, and what was left out is counted."""
    found = {key: _tuples(value) for key, value in attributes.items()}
    if not dropped:
        return found
    counted = BoundedAttributes(attributes=found)
    counted.dropped = dropped
    return counted


def _all(entries: list[Any], dropped: int | None) -> Sequence[Any]:
    if not dropped:
        return entries
    counted = BoundedList.from_seq(None, entries)
    counted.dropped = dropped
    return counted


def _tuples(value: Any) -> Any:
    if type(value) is list:
        return tuple(map(_tuples, value))
    return {key: _tuples(item) for key, item in value.items()} if type(value) is dict else value
