"""Context in the environment of processes: W3C trace context and baggage in TRACEPARENT, TRACESTATE and BAGGAGE.

Baggage takes the run along too, under the names of the attributes that its activities have.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple, cast
from urllib.parse import quote, unquote

from opentelemetry import baggage
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, TraceState, get_current_span
from provtel_model import attributes as names

from provtel.otel_context import SPAN_KEY, current, with_entries
from provtel.surroundings import run_in

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from opentelemetry.context import Context
    from provtel_model.record import PlainAgent

TRACEPARENT: Final = "TRACEPARENT"
TRACESTATE: Final = "TRACESTATE"
BAGGAGE: Final = "BAGGAGE"
VARIABLES: Final = (TRACEPARENT, TRACESTATE, BAGGAGE)

_TRACEPARENT: Final = re.compile(r"(?!ff)([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")
_RUN: Final = {
    "workflow_id": names.WORKFLOW_ID,
    "workflow_name": names.WORKFLOW_NAME,
    "campaign_id": names.WORKFLOW_CAMPAIGN_ID,
}
_AGENT: Final = {
    "id": names.PROV_AGENT_ID,
    "name": names.PROV_AGENT_NAME,
    "type": names.PROV_AGENT_TYPE,
    "acted_on_behalf_of": names.PROV_AGENT_ACTED_ON_BEHALF_OF,
}
_OURS: Final = frozenset({*_RUN.values(), *_AGENT.values()})
# W3C Baggage 3.3.2 says what others carry at least; longer lists may be dropped whole on their way.
_LONGEST_BAGGAGE: Final = 8192
_MOST_ENTRIES: Final = 64


class Carried(NamedTuple):
    """What an environment carries.

    Args:
        span: The span that is the parent of what starts here; ``None`` where there is none.
        facts: Of the run, by fields of the plain record.
        baggage: OpenTelemetry's baggage, without what is said of the run.
    """

    span: SpanContext | None
    facts: dict[str, object]
    baggage: dict[str, str]

    def within(self, context: Context) -> Context:
        """Return a context that has the span, where it has none of its own, and the baggage."""
        if self.span is not None and not get_current_span(context).get_span_context().is_valid:
            context = with_entries(context, {SPAN_KEY: NonRecordingSpan(self.span)})
        for name, value in self.baggage.items():
            context = baggage.set_baggage(name, value, context)
        return context


def variables(context: Context | None = None) -> dict[str, str]:
    """Return the variables that take what is current along, or what is current in another context.

    They belong into the environment of a process that is started here, in place of those that are there; `carrying`
    does that.
    """
    here = current() if context is None else context
    span = get_current_span(here).get_span_context()
    found: dict[str, str] = {}
    if span.is_valid:
        found[TRACEPARENT] = f"00-{span.trace_id:032x}-{span.span_id:016x}-{int(span.trace_flags):02x}"
        if span.trace_state:
            found[TRACESTATE] = span.trace_state.to_header()
    facts = run_in(here).facts
    agent = facts.get("agent") or {}
    run = [(name, facts[field]) for field, name in _RUN.items() if field in facts]
    run += [(name, agent[field]) for field, name in _AGENT.items() if field in agent]
    if entries := _written([*run, *baggage.get_all(here).items()]):
        found[BAGGAGE] = entries
    return found


def carrying(environment: Mapping[str, str], context: Context | None = None) -> dict[str, str]:
    """Return an environment for a process that is started here: it carries what is current, and nothing older."""
    kept = {name: value for name, value in environment.items() if name not in VARIABLES}
    return {**kept, **variables(context)}


def carried(environment: Mapping[str, str]) -> Carried:
    """Return what an environment carries; what cannot be understood is left out."""
    said = dict(_read(environment.get(BAGGAGE, "")))
    facts: dict[str, object] = {field: said[name] for field, name in _RUN.items() if name in said}
    agent = {field: said[name] for field, name in _AGENT.items() if name in said}
    if "id" in agent:
        facts["agent"] = cast("PlainAgent", agent)
    others = {name: value for name, value in said.items() if name not in _OURS}
    return Carried(_span(environment), facts, others)


def _span(environment: Mapping[str, str]) -> SpanContext | None:
    found = _TRACEPARENT.fullmatch(environment.get(TRACEPARENT, "").strip())
    if found is None or (found[1] == "00" and found[5]):
        return None
    state = environment.get(TRACESTATE, "")
    span = SpanContext(
        int(found[2], 16),
        int(found[3], 16),
        is_remote=True,
        trace_flags=TraceFlags(int(found[4], 16)),
        trace_state=TraceState.from_header([state]) if state else None,
    )
    return span if span.is_valid else None


def _written(entries: Iterable[tuple[str, object]]) -> str:
    text = ""
    for name, value in entries:
        more = f"{',' if text else ''}{quote(name, safe='')}={quote(str(value), safe='', errors='replace')}"
        if len(text) + len(more) <= _LONGEST_BAGGAGE:
            text += more
    return text


def _read(text: str) -> Iterator[tuple[str, str]]:
    for entry in text[:_LONGEST_BAGGAGE].split(",")[:_MOST_ENTRIES]:
        name, mark, value = entry.partition(";")[0].partition("=")
        if mark and name.strip():
            yield unquote(name.strip()), unquote(value.strip())
