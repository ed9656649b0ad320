"""Our spans as the SDK's ``ReadableSpan``, for exporters that know no other; loaded with the first of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import Link, SpanContext, TraceFlags, TraceState

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from provtel_model.record import PlainLink, PlainScope

    from provtel.otel.span import RecordingSpan


def reader(resource: Callable[[], Mapping[str, Any]]) -> Callable[[RecordingSpan], ReadableSpan]:
    """Return what makes a readable span of one of ours.

    Args:
        resource: Tells what is known of the process.
    """
    made: list[tuple[Mapping[str, Any], Resource]] = []

    def read(span: RecordingSpan) -> ReadableSpan:
        known = resource()
        if not made or made[-1][0] is not known:
            made[:] = [(known, Resource({**known}))]
        return _readable(span, made[-1][1])

    return read


def _readable(span: RecordingSpan, resource: Resource) -> ReadableSpan:
    scope: PlainScope = span.scope.plain
    return ReadableSpan(
        name=span.name,
        context=span.get_span_context(),
        parent=span.parent,
        resource=resource,
        attributes=_plain(span.attributes),
        events=[Event(event["name"], _plain(event.get("attributes", {})), event["time"]) for event in span.events],
        links=[_link(link) for link in span.links],
        kind=span.kind,
        status=span.status,
        start_time=span.start_time,
        end_time=span.end_time,
        instrumentation_scope=InstrumentationScope(
            scope.get("name", ""), scope.get("version"), scope.get("schema_url"), scope.get("attributes")
        ),
    )


def _link(link: PlainLink) -> Link:
    state = TraceState.from_header([link["trace_state"]]) if "trace_state" in link else TraceState()
    trace_id, span_id = int(link["trace_id"], 16), int(link["span_id"], 16)
    context = SpanContext(trace_id, span_id, is_remote=True, trace_flags=TraceFlags(), trace_state=state)
    return Link(context, _plain(link.get("attributes", {})))


def _plain(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Return attributes as the SDK keeps them: what was a sequence is a tuple."""
    return {key: _tuples(value) for key, value in attributes.items()}


def _tuples(value: Any) -> Any:
    if type(value) is list:
        return tuple(map(_tuples, value))
    return {key: _tuples(item) for key, item in value.items()} if type(value) is dict else value
