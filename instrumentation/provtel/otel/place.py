"""Where a span is: its trace, its ids, the span around it and the run that it belongs to."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from opentelemetry.trace import SpanContext, TraceFlags

if TYPE_CHECKING:
    from opentelemetry.trace import TraceState

    from provtel.run import Run


class Place(NamedTuple):
    """The place of a span.

    Args:
        trace: Trace id.
        span_id: Span id.
        parent_id: Span id of the span around it.
        run: Run that it belongs to.
        around: Context of the span around it, where that is not a sampled one of ours.
        state: Trace state that it passes on, where there is any.
        sampled: It is sampled, and so are those inside.
        journaled: It goes to the journal.
    """

    trace: bytes
    span_id: int
    parent_id: int | None
    run: Run
    around: SpanContext | None
    state: TraceState | None = None
    sampled: bool = True
    journaled: bool = True

    @property
    def parent(self) -> SpanContext | None:
        """Context of the span around it."""
        if self.around is not None or self.parent_id is None:
            return self.around
        flags = TraceFlags(TraceFlags.SAMPLED)
        return SpanContext(int.from_bytes(self.trace, "big"), self.parent_id, is_remote=False, trace_flags=flags)
