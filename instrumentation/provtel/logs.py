"""Lines of logs in the journal: each with the span that was current, beside which it is found later.

`emit` is the door for whoever has a line: the instrumentor of `logging`, OpenTelemetry's logger, or a program.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from opentelemetry.trace import Span
from provtel_model.journal.layout import Kind, pack

from provtel import notices
from provtel.otel.forms import forms_of
from provtel.otel_context import SPAN_KEY, current
from provtel.recording import recorder

if TYPE_CHECKING:
    from collections.abc import Mapping

    from opentelemetry.trace import SpanContext
    from provtel_model.record import PlainScope

    from provtel.snapshot import Snapshots


def emit(
    body: object,
    *,
    severity: int = 0,
    severity_text: str = "",
    name: str = "",
    attributes: Mapping[str, Any] | None = None,
    at: int | None = None,
    scope: PlainScope | None = None,
    span: SpanContext | None = None,
) -> None:
    """Write a log record; never raises, and keeps no secrets that a record of a task would not keep.

    Args:
        body: What it says, a text as a rule.
        severity: OTLP's number of how severe it is, 1 to 24; 0 where nobody said.
        severity_text: The same in the words of who logs.
        name: The name of the event, where it is one.
        attributes: What else is known.
        at: When it happened, in nanoseconds since the epoch; without it now.
        scope: Who logs; without it provtel.
        span: The span that it belongs to; without it the current one.
    """
    try:
        taking = recorder()
        if taking is None:
            return
        observed = time.time_ns()
        plain: dict[str, Any] = {"time": observed if at is None else int(at), "observed_at": observed}
        plain |= _known(severity=int(severity), severity_text=str(severity_text), name=str(name), scope=scope)
        plain |= _place(_current() if span is None else span)
        plain |= _content(taking.snapshots, body, attributes)
        taking.note(pack([Kind.LOG.value, plain]))
    except Exception as error:  # noqa: BLE001  # the program goes on whatever went wrong
        notices.capture_failed("a line of a log", error)


def _known(**values: Any) -> dict[str, Any]:
    return {key: value for key, value in values.items() if value}


def _current() -> SpanContext | None:
    span = current().get(SPAN_KEY)
    return span.get_span_context() if isinstance(span, Span) else None


def _place(span: SpanContext | None) -> dict[str, Any]:
    if span is None or not span.is_valid:
        return {}
    ids = {"trace_id": f"{span.trace_id:032x}", "span_id": f"{span.span_id:016x}"}
    return {**ids, **_known(flags=int(span.trace_flags))}


def _content(snapshots: Snapshots, body: object, attributes: Mapping[str, Any] | None) -> dict[str, Any]:
    forms, dropped = forms_of(snapshots, attributes, snapshots.max_items, None)
    said = {} if body is None else {"body": snapshots.of(body)}
    return {**said, **_known(attributes=forms, dropped=dropped)}
