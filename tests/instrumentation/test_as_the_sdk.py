"""The same calls of OpenTelemetry's API give the same spans by the SDK's provider and by ours.

What is different by design is in the table of docs/reference/tracer-provider.md, and tested below.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterable
from typing import Any, cast

import pytest
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk.trace import SpanLimits
from opentelemetry.sdk.trace import TracerProvider as SdkProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import Link, SpanContext, Tracer
from provtel.otel.provider import TracerProvider
from provtel_model.components import Batch, Signal
from provtel_model.otlp import decode
from provtel_model.record import PlainRecord, Record

from tests.instrumentation.api_calls import NOON, Row
from tests.instrumentation.api_calls_of_providers import ROWS

Recorded = Callable[[], list[Record]]
_OF_SPANS = {"trace_id", "span_id", "parent_id"}
_TIMES = {"started_at", "ended_at", "time"}


@pytest.fixture(autouse=True)
def quiet() -> Iterable[None]:
    """The SDK logs what it does not like."""
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


def by_the_sdk(row: Row) -> list[PlainRecord]:
    """Return what the SDK and its OTLP encoder make of a row."""
    exporter = InMemorySpanExporter()
    provider = SdkProvider(**row.provider)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    run(row, provider)
    spans = exporter.get_finished_spans()
    return decode(Batch(Signal.TRACES, encode_spans(spans).SerializeToString(), len(spans)))


def by_ours(row: Row, recorded: Recorded) -> list[PlainRecord]:
    """Return what our provider makes of it, from the journal."""
    run(row, TracerProvider(**row.provider))
    return [record.plain for record in recorded()]


def run(row: Row, provider: Any) -> None:
    """Run a row."""
    tracer = provider.get_tracer("table", "1.0")
    tracer.provider_under_test = provider
    row.call(tracer)


def comparable(records: list[PlainRecord], resource: Iterable[str]) -> list[dict[str, Any]]:
    """Return spans without what differs from run to run: ids by the names of what they are of, times by the order."""
    names = {f"{plain['trace_id']}-{plain['span_id']}": plain["name"] for plain in records}
    found = []
    for plain in records:
        span = cast("dict[str, Any]", {**plain})
        if plain.get("parent_id"):
            known = plain["parent_id"] if plain["parent_id"].startswith("0" * 16) else "not exported"
            span["parent"] = names.get(plain["parent_id"], known)
        span["resource"] = {key: plain["resource"].get(key) for key in resource}
        if "error" in plain:
            span["error"] = {**plain["error"], "stacktrace": _of_program(plain["error"].get("stacktrace", "-"))}
        span["attributes"] = sorted(plain.get("attributes", {}).items(), key=repr)
        for event in span.get("events", ()):
            if "exception.stacktrace" in event.get("attributes", ()):
                event["attributes"]["exception.stacktrace"] = _of_program(event["attributes"]["exception.stacktrace"])
        for link in span.get("links", ()):
            link.pop("trace_state", None)  # which the SDK's encoder leaves out
        for key in (*_OF_SPANS, "host", "pid"):
            span.pop(key, None)
        found.append(_without_times(span))
    return sorted(found, key=repr)


def _of_program(trace: str) -> list[str]:
    """Return the frames of a stack trace without those of OpenTelemetry, which the SDK keeps, and the exception."""
    frames = re.findall(r'File ".*api_calls\w*.py", line \d+, in \w+', trace)
    return [*frames, trace.splitlines()[-1]]


def _without_times(value: Any) -> Any:
    if isinstance(value, dict):
        kept = {key: _without_times(item) for key, item in value.items()}
        return {key: item for key, item in kept.items() if key not in _TIMES or NOON <= item < NOON + 1_000_000}
    return [*map(_without_times, value)] if isinstance(value, list) else value


@pytest.mark.parametrize("name", ROWS)
def test_same_spans(name: str, recorded: Recorded, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each row of calls gives the same exported spans."""
    row = ROWS[name]
    for variable, value in row.environment.items():
        monkeypatch.setenv(variable, value)
    given = row.provider["resource"].attributes if "resource" in row.provider else {}

    assert comparable(by_ours(row, recorded), given) == comparable(by_the_sdk(row), given)


# ---- different by design ----


def spans_of(recorded: Recorded, call: Callable[[Tracer], object], **provider: Any) -> list[Record]:
    """Return what our provider makes of some calls."""
    call(TracerProvider(**provider).get_tracer("different"))
    return recorded()


def test_the_first_attributes_stay(recorded: Recorded) -> None:
    """Beyond the limit the newest attribute is left out, not the oldest, and never one of PROV or of a workflow."""

    def call(tracer: Tracer) -> None:
        with tracer.start_as_current_span("s", attributes={"a": 1}) as span:
            span.set_attributes({"b": 2, "c": 3, "prov.used.x": 4, "workflow.task.id": "t"})
            span.set_attribute("a", 5)

    (span,) = spans_of(recorded, call, span_limits=SpanLimits(max_span_attributes=2))

    assert span.attributes == {"a": 5, "b": 2, "workflow.task.id": "t"}
    assert span.used == {"x": 4}
    assert span.plain["dropped"] == {"attributes": 1}


def test_the_first_events_and_links_stay(recorded: Recorded) -> None:
    """Of events and links beyond the limit the newest are left out, and so of their attributes; all are counted."""

    def call(tracer: Tracer) -> None:
        links = [Link(SpanContext(1, number, is_remote=True)) for number in (1, 2, 3)]
        with tracer.start_as_current_span("s", links=links) as span:
            for name in ("first", "second", "third"):
                span.add_event(name, {"a": 1, "b": 2})
            span.add_link(SpanContext(1, 4, is_remote=True))

    limits = SpanLimits(max_events=2, max_links=2, max_event_attributes=1)
    (span,) = spans_of(recorded, call, span_limits=limits)

    assert [(event.name, event.attributes) for event in span.events] == [("first", {"a": 1}), ("second", {"a": 1})]
    assert [link.id[-1] for link in span.links] == ["1", "2"]
    assert span.plain["dropped"] == {"events": 1, "links": 2}
    assert [event["dropped"] for event in span.plain["events"]] == [1, 1]


def test_what_is_left_out_is_counted_for_exporters() -> None:
    """An exporter of the SDK hears how many attributes, events and links were left out, as the journal does."""
    limits = SpanLimits(max_span_attributes=1, max_events=1, max_links=1, max_event_attributes=1, max_link_attributes=1)
    provider, exporter = TracerProvider(span_limits=limits), InMemorySpanExporter()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    links = [Link(SpanContext(1, number, is_remote=True), {"a": 1, "b": 2}) for number in (1, 2, 3)]
    with provider.get_tracer("t").start_as_current_span("s", attributes={"a": 1, "b": 2}, links=links) as span:
        for name in ("first", "second", "third", "fourth"):
            span.add_event(name, {"a": 1, "b": 2})
    (exported,) = exporter.get_finished_spans()

    assert (exported.dropped_attributes, exported.dropped_events, exported.dropped_links) == (1, 3, 2)
    assert (exported.events[0].dropped_attributes, exported.links[0].dropped_attributes) == (1, 1)


def test_truth_is_no_number(recorded: Recorded) -> None:
    """True and False stay what they are inside of lists and maps too, where they equal 1 and 0."""
    (span,) = spans_of(recorded, lambda tracer: tracer.start_span("s", attributes={"a": [True], "b": {"c": 1}}).end())

    assert span.attributes["a"][0] is True
    assert span.attributes["b"]["c"] is not True


def test_values_are_kept_as_those_of_tasks(recorded: Recorded) -> None:
    """Secrets are left out; what is large or no value of OpenTelemetry is a reference, and none of its code runs."""

    class Loud:
        def __str__(self) -> str:
            raise AssertionError

    def call(tracer: Tracer) -> None:
        address = "https://me:hunter2@host/x"
        tracer.start_span("s", attributes={"api_key": "k", "url": address, "x": Loud(), "t": "x" * 9000}).end()  # type: ignore[dict-item]  # on purpose

    (span,) = spans_of(recorded, call)

    assert span.attributes["api_key"] == "[REDACTED]"
    assert span.attributes["url"] == "https://me:[REDACTED]@host/x"
    assert span.attributes["x"].type.endswith("Loud")
    assert span.attributes["t"].nbytes == 9000


def test_an_end_is_never_before_the_start(recorded: Recorded, monkeypatch: pytest.MonkeyPatch) -> None:
    """A span ends its duration after its start, also where the clock was put back in between."""

    def call(tracer: Tracer) -> None:
        span = tracer.start_span("s")
        monkeypatch.setattr("provtel.otel.span.time_ns", lambda: 1)
        span.end()

    (span,) = spans_of(recorded, call)

    assert span.plain["started_at"] < span.plain["ended_at"]
