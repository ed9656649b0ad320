"""Context in the environment: what goes in comes out, also by OpenTelemetry's own propagators."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry import baggage
from opentelemetry.baggage.propagation import W3CBaggagePropagator
from opentelemetry.context import Context
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, TraceState, get_current_span
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from provtel.carrier import carried, carrying, variables
from provtel.otel_context import RUN_KEY, SPAN_KEY
from provtel.run import Run

from tests.instrumentation.programs import Stage

TRACE = "0af7651916cd43dd8448eb211c80319c"
SPAN = "b7ad6b7169203331"
TRACEPARENT = f"00-{TRACE}-{SPAN}-01"
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40)
FACTS = st.fixed_dictionaries(
    {"workflow_id": TEXTS},
    optional={
        "workflow_name": TEXTS,
        "campaign_id": TEXTS,
        "agent": st.fixed_dictionaries({"id": TEXTS}, optional={"name": TEXTS, "type": TEXTS}),
    },
)


def context_of(trace: int, span: int, facts: dict[str, Any], items: dict[str, str]) -> Context:
    """Return a context in which a span, a run and baggage are current."""
    flags, state = TraceFlags(TraceFlags.SAMPLED), TraceState([("a", "b")])
    around = NonRecordingSpan(SpanContext(trace, span, is_remote=False, trace_flags=flags, trace_state=state))
    context = Context({SPAN_KEY: around, RUN_KEY: Run(facts)})
    for name, value in items.items():
        context = baggage.set_baggage(name, value, context)
    return context


@given(
    st.integers(1, 2**128 - 1),
    st.integers(1, 2**64 - 1),
    FACTS,
    st.dictionaries(TEXTS.filter(lambda text: text.strip() == text), TEXTS, max_size=3),
)
def test_what_goes_in_comes_out(trace: int, span: int, facts: dict[str, Any], items: dict[str, str]) -> None:
    """Span, run and baggage are the same on the other side, whatever their characters."""
    found = carried(variables(context_of(trace, span, facts, items)))

    assert found.span is not None
    assert (found.span.trace_id, found.span.span_id, found.span.is_remote) == (trace, span, True)
    assert found.span.trace_state == TraceState([("a", "b")])
    assert (found.facts, found.baggage) == (facts, items)


def test_others_read_it() -> None:
    """OpenTelemetry's own propagators read the same from the variables."""
    said = variables(context_of(1, 2, {"workflow_id": "w", "workflow_name": "a b, c=d"}, {"user": "ü"}))
    lower = {name.lower(): value for name, value in said.items()}

    read = W3CBaggagePropagator().extract(lower, TraceContextTextMapPropagator().extract(lower, Context()))

    span = get_current_span(read).get_span_context()
    assert (span.trace_id, span.span_id, span.trace_state.get("a")) == (1, 2, "b")
    assert baggage.get_all(read) == {"workflow.id": "w", "workflow.name": "a b, c=d", "user": "ü"}


def test_what_is_older_goes() -> None:
    """An environment for a new process has nothing of what its parent was started in."""
    before = {"PATH": "/bin", "TRACEPARENT": TRACEPARENT, "TRACESTATE": "x=y", "BAGGAGE": "a=b"}

    assert carrying(before, Context()) == {"PATH": "/bin"}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "nonsense",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"ff-{TRACE}-{SPAN}-01",
        f"00-{TRACE}-{SPAN}-01-more",
        f"00-{TRACE.upper()}-{SPAN}-01",
        f"00-{TRACE}-{SPAN}",
    ],
)
def test_no_parent(text: str) -> None:
    """What is no trace context is none."""
    assert carried({"TRACEPARENT": text}).span is None


def test_later_version() -> None:
    """Of a later version of the format what is known is read."""
    assert carried({"TRACEPARENT": f"01-{TRACE}-{SPAN}-01-more"}).span is not None


@settings(max_examples=50)
@given(st.text(max_size=200))
def test_any_baggage(text: str) -> None:
    """No baggage raises."""
    carried({"BAGGAGE": text, "TRACESTATE": text, "TRACEPARENT": TRACEPARENT})


def test_too_much_baggage() -> None:
    """Baggage keeps to the size that everybody carries, and the run comes first."""
    said = variables(context_of(1, 2, {"workflow_id": "w"}, {str(number): "x" * 500 for number in range(100)}))

    assert len(said["BAGGAGE"]) <= 8192
    assert said["BAGGAGE"].startswith("workflow.id=w,")


PROGRAM = """
    import threading
    from opentelemetry import baggage
    from provtel import task, workflow

    @task
    def double(number):
        return 2 * number

    double(1)
    thread = threading.Thread(target=double, args=(2,))
    thread.start()
    thread.join()
    with workflow("inner"):
        double(3)
    print(baggage.get_all())
"""


def test_process_joins(stage: Stage) -> None:
    """A task outside of any other belongs to the span and the run of the environment, in every thread."""
    stage.environment |= {"TRACEPARENT": TRACEPARENT, "BAGGAGE": "workflow.id=w,workflow.name=my%20run,user=me"}
    outcome = stage.run(PROGRAM)

    first, second, inner, third = stage.records()
    for record in (first, second):
        assert (record.parent_id, record.workflow_id, record.workflow_name) == (f"{TRACE}-{SPAN}", "w", "my run")
    assert (inner.parent_id, inner.workflow_id) == (f"{TRACE}-{SPAN}", inner.id)
    assert third.workflow_id == inner.id
    assert outcome.stdout == "{'user': 'me'}\n"


def test_process_keeps_apart(stage: Stage) -> None:
    """With the setting off, and where there is nothing to join, records stand for themselves."""
    stage.environment |= {"TRACEPARENT": TRACEPARENT, "PROVTEL_JOIN": "false"}
    stage.run(PROGRAM)

    assert all(record.trace_id != TRACE for record in stage.records())


def test_forked_child_joins(stage: Stage) -> None:
    """A child that was forked belongs to it too."""
    stage.environment |= {"TRACEPARENT": TRACEPARENT}
    stage.run(
        """
        import os
        from provtel import task
        if os.fork() == 0:
            with task("child"):
                pass
            os._exit(0)
        os.wait()
        """
    )

    (record,) = stage.records()
    assert record.parent_id == f"{TRACE}-{SPAN}"
