"""Tasks beside a tracer provider that the program installed: each is a span of that provider too, under its ids.

So stock exporters see them, and what that provider's spans are inside of. Whatever its sampler and its limits are, the
journal has all; where both copies come to one store the journal's is kept, because it alone bears our scope.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode, TraceFlags, TracerProvider
from ormsgpack import unpackb
from provtel_model import attributes as names
from provtel_model.journal.records import DefinitionFacts, Ended, Started, record_of
from provtel_model.otlp.mapping import to_attributes
from provtel_model.record import State

from provtel.core import ActivityCore, outside
from provtel.otel.provider import TracerProvider as OwnProvider
from provtel.otel_context import SPAN_KEY, current
from provtel.version import VERSION
from provtel.watching import Beginning

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from opentelemetry.context import Context
    from opentelemetry.trace import Span, Tracer
    from provtel_model.anyvalue import AnyValue
    from provtel_model.record import PlainLink, PlainRecord

    from provtel.activity import Activity
    from provtel.otel.processors import Processors

SCOPE: Final = f"{names.SCOPE_NAME}.beside"
"""Scope of the spans of others; with our own the copies would be of one rank."""
_SCALARS: Final = frozenset({str, bool, int, float})
_DATA: Final = frozenset({names.PROV_USED, names.PROV_GENERATED})


def watcher_of(provider: Any) -> Callable[[str, int], Beginning | None] | None:
    """Return who is told of activities where a provider is installed; ``None`` where nobody is."""
    if isinstance(provider, OwnProvider) and provider.processors is not None:
        return _OwnProcessors(provider.processors).begins
    if not isinstance(provider, TracerProvider):
        return None
    return _Beside(provider).begins


class _Beside:
    """Makes a span of another provider for each activity."""

    def __init__(self, provider: TracerProvider) -> None:
        self._tracer: Tracer = provider.get_tracer(SCOPE, VERSION)

    def begins(self, name: str, started_at: int) -> Beginning | None:
        span = self._tracer.start_span(name, kind=SpanKind.INTERNAL, start_time=started_at)
        context = span.get_span_context()
        trace, parent_id = _around(current().get(SPAN_KEY))
        # A tracer that is switched off hands back what is current, or nothing.
        if not context.is_valid or context.span_id == parent_id:
            return None
        own_trace = context.trace_id.to_bytes(16, "big")
        place = (own_trace, context.span_id, parent_id if trace == own_trace else None)
        return Beginning(_SpanOfOther(span, name, context), place)


def _around(parent: object) -> tuple[bytes, int | None]:
    return (parent.trace, parent.span_id) if isinstance(parent, ActivityCore) else outside(parent)


class _SpanOfOther:
    """A span of another provider, which is told at its end what became known."""

    def __init__(self, span: Span, name: str, context: SpanContext) -> None:
        self._span = span
        self._name = name
        self.context: SpanContext | None = context

    def started(self, activity: Activity, outer: Context) -> None:
        """Need no more."""

    def ended(self, activity: Activity, payload: bytes) -> None:
        span = self._span
        plain = plain_of(activity, payload)
        for key, value in stock_attributes(plain).items():
            span.set_attribute(key, value)
        if plain["name"] != self._name:
            span.update_name(plain["name"])
        for event in plain.get("events", ()):
            span.add_event(event["name"], _stock_map(event.get("attributes", {})), event["time"])
        for link in plain.get("links", ()):
            _add_link(span, link)
        if plain["status"] == State.ERROR:
            span.set_status(Status(StatusCode.ERROR, plain.get("error", {}).get("message")))
        span.end(plain["ended_at"])


def _add_link(span: Span, link: PlainLink) -> None:
    trace_id, span_id = int(link["trace_id"], 16), int(link["span_id"], 16)
    context = SpanContext(trace_id, span_id, is_remote=True, trace_flags=TraceFlags(TraceFlags.SAMPLED))
    span.add_link(context, _stock_map(link.get("attributes", {})))


class _OwnProcessors:
    """Tells the span processors of our own provider."""

    def __init__(self, processors: Processors) -> None:
        self._processors = processors
        self.context: SpanContext | None = None

    def begins(self, name: str, started_at: int) -> Beginning:  # noqa: ARG002  # a watcher's
        return Beginning(self, None)

    def started(self, activity: Activity, outer: Context) -> None:
        self._processors.on_start(activity, outer)

    def ended(self, activity: Activity, payload: bytes) -> None:
        self._processors.on_end(plain_of(activity, payload))


def plain_of(activity: Activity, end: bytes) -> PlainRecord:
    """Return the record of an activity that ended, but for what is known of its process."""
    definition = DefinitionFacts(*unpackb(activity.definition.payload())[1:])
    _kind, _number, context = unpackb(activity.run.payload())
    started = Started(definition, context, unpackb(activity.start_payload)[1:])
    return record_of(Ended(started, unpackb(end)[1:], {}))


def stock_attributes(plain: PlainRecord) -> dict[str, Any]:
    """Return the attributes of a record as any OpenTelemetry SDK takes them; each role is one."""
    found = to_attributes(plain)
    if plain["status"] == State.CANCELLED:
        found[names.PROV_ACTIVITY_STATE] = plain["status"]
    error = plain.get("error", {})
    if "type" in error:
        found[names.ERROR_TYPE] = error["type"]
    flat: dict[str, AnyValue] = {}
    for name, value in found.items():
        if name in _DATA and type(value) is dict:
            flat.update((f"{name}.{role}", item) for role, item in value.items())
        else:
            flat[name] = value
    return _stock_map(flat)


def _stock_map(attributes: Mapping[str, AnyValue]) -> dict[str, Any]:
    return {key: _stock(value) for key, value in attributes.items()}


def _stock(value: AnyValue) -> Any:
    """Return a value that every SDK takes: a scalar, a list of one kind of them, or else JSON."""
    if type(value) in _SCALARS:
        return value
    if type(value) is list and len({*map(type, value)}) == 1 and type(value[0]) in _SCALARS:
        return value
    return json.dumps(value, default=bytes.hex, ensure_ascii=False)
