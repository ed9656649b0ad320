"""Calls of OpenTelemetry's tracing API beside what a provider is made with: samplers, limits, resources."""

# the name of a row says what it is

from __future__ import annotations

from typing import Any

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanLimits, TracerProvider
from opentelemetry.sdk.trace.sampling import (
    ALWAYS_OFF,
    Decision,
    ParentBased,
    Sampler,
    SamplingResult,
    StaticSampler,
    TraceIdRatioBased,
)
from opentelemetry.trace import (
    Link,
    NonRecordingSpan,
    SpanContext,
    TraceFlags,
    Tracer,
    TraceState,
    set_span_in_context,
)

from tests.instrumentation.api_calls import ROWS, Row, row

__all__ = ["ROWS"]

# ---- samplers ----


class Choosy(Sampler):
    """Adds attributes and trace state, and decides by the name."""

    def should_sample(self, *asked: Any, **named: Any) -> SamplingResult:
        """Decide."""
        name = named["name"] if named else asked[2]
        decision = {"drop": Decision.DROP, "record": Decision.RECORD_ONLY}.get(name, Decision.RECORD_AND_SAMPLE)
        return SamplingResult(decision, {"by": "sampler"}, TraceState([("s", "1")]))

    def get_description(self) -> str:
        """Say what it is."""
        return "choosy"


def _three(tracer: Tracer) -> None:
    for name in ("keep", "drop", "record"):
        with tracer.start_as_current_span(name, attributes={"a": 1}) as span:
            span.set_attribute("recording", span.is_recording())
            tracer.start_span("inside").end()


@row(sampler=Choosy())
def a_sampler_of_the_programs_own(tracer: Tracer) -> None:
    _three(tracer)


@row(sampler=ParentBased(Choosy()))
def a_sampler_that_asks_the_parent(tracer: Tracer) -> None:
    _three(tracer)


@row(sampler=ALWAYS_OFF)
def a_sampler_that_drops(tracer: Tracer) -> None:
    _three(tracer)


@row(sampler=StaticSampler(Decision.RECORD_ONLY))
def a_sampler_that_only_records(tracer: Tracer) -> None:
    _three(tracer)


def _traces(tracer: Tracer) -> None:
    for number in range(64):
        remote = SpanContext(number << 58 | 1, 1, is_remote=True, trace_flags=TraceFlags(number % 2))
        tracer.start_span(f"{number}", context=set_span_in_context(NonRecordingSpan(remote))).end()


@row(sampler=TraceIdRatioBased(0.3))
def a_sampler_of_a_share(tracer: Tracer) -> None:
    _traces(tracer)


for _name in ("always_on", "always_off", "traceidratio"):
    for _sampler in (_name, f"parentbased_{_name}"):
        ROWS[f"sampler_{_sampler}"] = Row(
            _traces, environment={"OTEL_TRACES_SAMPLER": _sampler, "OTEL_TRACES_SAMPLER_ARG": "0.3"}
        )

# ---- scopes, resources, limits ----


def provider_of(tracer: Tracer) -> TracerProvider:
    """Return the provider that is under test, of whatever kind."""
    provider: TracerProvider = tracer.provider_under_test  # type: ignore[attr-defined]  # the test puts it there
    return provider


@row()
def scopes(tracer: Tracer) -> None:
    provider = provider_of(tracer)
    provider.get_tracer("a").start_span("1").end()
    provider.get_tracer("a", "1.0").start_span("2").end()
    provider.get_tracer("a", "1.0", "https://schema").start_span("3").end()
    provider.get_tracer("a", "1.0", attributes={"k": "v", "n": 1}).start_span("4").end()
    with provider.get_tracer("b").start_as_current_span("5"):
        provider.get_tracer("a").start_span("6").end()


@row(resource=Resource({"service.name": "mine", "list": ["a", "b"], "n": 1}))
def a_resource(tracer: Tracer) -> None:
    tracer.start_span("1").end()


def _much(tracer: Tracer) -> None:
    links = [Link(SpanContext(1, number, is_remote=True), {"a": 1, "b": "long text", "c": 3}) for number in (1, 2, 3)]
    with tracer.start_as_current_span("much", links=links, attributes={"long": "long text"}) as span:
        span.set_attribute("texts", ["long text", "short"])
        span.add_event("e", {"a": 1, "b": "long text", "c": 3})
        span.set_attribute("bytes", b"long bytes")
        span.add_link(SpanContext(1, 4, is_remote=True))


@row(span_limits=SpanLimits(max_attribute_length=4))
def limits_of_text(tracer: Tracer) -> None:
    _much(tracer)


@row(span_limits=SpanLimits(max_span_attribute_length=4))
def limits_of_text_of_spans(tracer: Tracer) -> None:
    _much(tracer)


@row(span_limits=SpanLimits(max_span_attributes=0))
def limits_of_no_attributes(tracer: Tracer) -> None:
    _much(tracer)


@row(environment={"OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT": "4", "OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT": "6"})
def limits_by_the_environment(tracer: Tracer) -> None:
    _much(tracer)


@row(environment={"OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT": "", "OTEL_SPAN_EVENT_COUNT_LIMIT": ""})
def limits_that_are_lifted(tracer: Tracer) -> None:
    with tracer.start_as_current_span("many") as span:
        for number in range(300):
            span.set_attribute(f"a{number}", number)
            span.add_event(f"e{number}")


@row()
def as_much_as_the_limits_allow(tracer: Tracer) -> None:
    with tracer.start_as_current_span("many") as span:
        for number in range(128):
            span.set_attribute(f"a{number}", number)
            span.add_event(f"e{number}")
            span.add_link(SpanContext(1, number + 1, is_remote=True))


@row(environment={"OTEL_SDK_DISABLED": "true"})
def switched_off(tracer: Tracer) -> None:
    with provider_of(tracer).get_tracer("x").start_as_current_span("nothing") as span:
        assert not span.is_recording()


@row()
def after_the_shutdown(tracer: Tracer) -> None:
    tracer.start_span("before").end()
    assert provider_of(tracer).force_flush()
    provider_of(tracer).shutdown()
    tracer.start_span("after").end()
