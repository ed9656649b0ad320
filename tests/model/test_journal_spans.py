"""The short way from frames to spans gives what the way by the record gives."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from provtel_model.journal.activities import Activities
from provtel_model.journal.records import DefinitionFacts, Ended, Started, record_of
from provtel_model.journal.spans import Spans
from provtel_model.otlp.encode import encode_span

from tests.model.strategies import ANY_VALUES, INT64, TEXT

_SCALARS = st.none() | st.booleans() | INT64 | st.floats() | st.text("abcé", max_size=200) | ANY_VALUES
_ROLES = st.lists(st.text("xyzé", max_size=60), max_size=4, unique=True)
_NAMES = st.sampled_from(["a", "b", "workflow.id", "prov.used", "task.cpu.user", "prov.activity.type"])
_SPAN_IDS = st.integers(1, 2**64 - 1)
_COSTS = st.none() | st.floats(0, 1000)


@st.composite
def _activities(draw: st.DrawFn) -> Ended:
    used, generated = draw(_ROLES), draw(_ROLES)
    facts: dict[str, Any] = {"kind": "task", "name": draw(TEXT)}
    more: list[dict[str, Any]] = [{}, {"tags": ["a"]}, {"telemetry": {"cpu.scope": "process"}}]
    facts.update(draw(st.sampled_from([*more, {"kind": "span", "span_kind": 2, "scope": {"name": "s"}}])))
    context = draw(st.sampled_from([{}, {"workflow_id": "w", "workflow_name": "sweep"}]))
    start = [3, 5, draw(st.binary(min_size=16, max_size=16)), draw(_SPAN_IDS), draw(st.none() | _SPAN_IDS)]
    start += [draw(st.integers(1, 2**62)), _values(draw, used)]
    end = [start[3], draw(st.integers(1, 2**62)), draw(st.sampled_from([0, 0, 0, 1, 2])), _values(draw, generated)]
    cost = draw(_COSTS)
    end += [cost, None if cost is None else draw(st.floats(0, 1000))]
    for frame in (start, end):
        if draw(st.integers(0, 3)) == 0:
            frame.append({"attributes": draw(st.dictionaries(_NAMES, ANY_VALUES, max_size=3))})
    if facts["kind"] == "span":
        # A tracer's span has its data as attributes, where it has any.
        start[6] = end[3] = None
    return Ended(Started(DefinitionFacts(3, used, generated, facts), context, start), end, {})


def _values(draw: st.DrawFn, roles: list[str]) -> Any:
    listed = st.lists(_SCALARS, min_size=0, max_size=len(roles))
    return draw(st.none() | listed | st.dictionaries(TEXT, _SCALARS, max_size=2))


@given(st.lists(_activities(), min_size=1, max_size=3))
def test_both_ways_are_equal(activities: list[Ended]) -> None:
    """Whatever an activity holds, its span has the same fields by either way, also when the template is used again."""
    for activity in activities:
        spans = Spans(Activities())
        for _ in range(2):
            assert _fields(spans.build(activity)) == _fields(encode_span(record_of(activity)))


def _fields(content: bytes) -> tuple[str, list[str]]:
    span = Span.FromString(content)
    attributes = sorted(str(attribute) for attribute in span.attributes)
    del span.attributes[:]
    return str(span), attributes
