"""The tracer: starts spans inside whatever is current, ours or another library's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from opentelemetry.trace import (
    INVALID_SPAN_CONTEXT,
    NonRecordingSpan,
    Span,
    SpanContext,
    SpanKind,
    TraceFlags,
    Tracer,
    TraceState,
)

from provtel import notices, surroundings
from provtel.activity import Activity
from provtel.ids import new_span_id, new_trace_id
from provtel.otel.current_span import CurrentSpan
from provtel.otel.place import Place
from provtel.otel.sampling import Asked
from provtel.otel.span import RecordingSpan
from provtel.otel_context import SPAN_KEY, current
from provtel.recording import recorder
from provtel.surroundings import run_in

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from opentelemetry.context import Context
    from opentelemetry.trace import Link

    from provtel.otel.processors import Processors
    from provtel.otel.provider import TracerProvider
    from provtel.otel.scope import Scope
    from provtel.recorder import Recorder

_INTERNAL: Final = SpanKind.INTERNAL


class JournalTracer(Tracer):
    """A tracer whose spans go to the journal. No method raises.

    Args:
        provider: Whose tracer it is.
        scope: Its scope.
    """

    def __init__(self, provider: TracerProvider, scope: Scope) -> None:
        """Keep them."""
        self._provider = provider
        self._scope = scope

    def tell(self, processors: Processors) -> None:
        """Tell span processors of every span from now on."""
        self._scope.processors = processors

    def start_as_current_span(  # type: ignore[override]  # noqa: PLR0913, PLR0917  # the interface's; its type is the API's own
        self,
        name: str,
        context: Context | None = None,
        kind: SpanKind = _INTERNAL,
        attributes: Mapping[str, Any] | None = None,
        links: Sequence[Link] | None = None,
        start_time: int | None = None,
        record_exception: bool = True,  # noqa: FBT001, FBT002  # the interface's
        set_status_on_exception: bool = True,  # noqa: FBT001, FBT002  # as above
        end_on_exit: bool = True,  # noqa: FBT001, FBT002  # as above
    ) -> CurrentSpan:
        """Return a block in which a new span is current; it decorates functions and coroutine functions too."""
        arguments = (name, context, kind, attributes, links, start_time, record_exception, set_status_on_exception)
        return CurrentSpan(self, arguments, end_on_exit=end_on_exit)

    def start_span(
        self,
        name: str,
        context: Context | None = None,
        kind: SpanKind = _INTERNAL,
        attributes: Mapping[str, Any] | None = None,
        links: Sequence[Link] | None = None,
        start_time: int | None = None,
        record_exception: bool = True,  # noqa: FBT001, FBT002  # the interface's
        set_status_on_exception: bool = True,  # noqa: FBT001, FBT002  # as above
    ) -> Span:
        """Start a span, which is not made current."""
        outer = current() if context is None else context
        try:
            taking = recorder()
            if taking is None or self._provider.is_shut_down:
                return _not_recording(outer)
            span = self._start(taking, outer, _Spoken(name, kind, attributes, links), start_time)
        except Exception as error:  # noqa: BLE001  # the program goes on whatever went wrong
            notices.capture_failed("a span", error)
            return _not_recording(outer)
        if not (record_exception and set_status_on_exception) and isinstance(span, RecordingSpan):
            span.on_exception(records=record_exception, sets_status=set_status_on_exception)
        return span

    def _start(self, taking: Recorder, outer: Context, spoken: _Spoken, started_at: int | None) -> Span:
        place = self._usual_place(outer) if self._provider.keeps_all else None
        attributes = spoken.attributes
        if place is None:
            place, recorded, attributes = self._place(outer, spoken)
            if not recorded:
                return _dropped(place)
        span = RecordingSpan(self._scope, taking, place, spoken.name, spoken.kind, attributes, started_at)
        for link in spoken.links or ():
            span.add_link(link.context, link.attributes)
        span.begin()
        if self._scope.processors is not None:
            self._scope.processors.on_start(span, outer)
        return span

    def _usual_place(self, outer: Context) -> Place | None:
        """Return the place of a span in none, or in one of ours; ``None`` where more has to be asked."""
        parent = outer.get(SPAN_KEY)
        if parent is None and surroundings.here.span is None:
            return Place(new_trace_id(), new_span_id(), None, run_in(outer), None)
        if type(parent) is RecordingSpan and parent.place.sampled:
            around = parent.place
            return Place(around.trace, new_span_id(), around.span_id, run_in(outer), None, around.state)
        if isinstance(parent, Activity) and not parent.is_watched:
            return Place(parent.trace, new_span_id(), parent.span_id, run_in(outer), None)
        return None

    def _place(self, outer: Context, spoken: _Spoken) -> tuple[Place, bool, Mapping[str, Any] | None]:
        """Return the place of a span, whether it is recorded, and with which attributes, as the sampler decides."""
        provider, parent = self._provider, outer.get(SPAN_KEY)
        around = parent.get_span_context() if isinstance(parent, Span) else None
        if around is None or not around.is_valid:
            around = surroundings.here.span
        trace = provider.new_trace_id() if around is None else around.trace_id.to_bytes(16, "big")
        recorded, sampled, attributes, state = provider.sampler.decide(Asked(outer, around, trace, *spoken))
        place = Place(
            trace,
            provider.new_span_id(),
            None if around is None else around.span_id,
            run_in(outer),
            around,
            state or None,
            sampled=sampled,
            journaled=sampled and provider.is_journaled,
        )
        return place, recorded, attributes


class _Spoken(NamedTuple):
    """What a program says of a span."""

    name: str
    kind: SpanKind
    attributes: Mapping[str, Any] | None
    links: Sequence[Link] | None


def _dropped(place: Place) -> Span:
    flags = TraceFlags(TraceFlags.DEFAULT)
    trace_id = int.from_bytes(place.trace, "big")
    return NonRecordingSpan(SpanContext(trace_id, place.span_id, False, flags, place.state or TraceState()))  # noqa: FBT003


def _not_recording(outer: Context) -> Span:
    """Return what keeps the context going and records nothing."""
    parent = outer.get(SPAN_KEY)
    return NonRecordingSpan(parent.get_span_context() if isinstance(parent, Span) else INVALID_SPAN_CONTEXT)
