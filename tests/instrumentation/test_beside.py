"""Beside a tracer provider that the program installed: tasks are its spans too, and the journal has all of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk.trace import ReadableSpan, SpanLimits, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF
from opentelemetry.trace import StatusCode
from provtel import current, loop, notices, record, task, watching, workflow
from provtel.otel.provider import TracerProvider as OwnProvider
from provtel_model.components import Batch, Signal
from provtel_model.merge import merge
from provtel_model.otlp import decode
from provtel_model.record import Record, State

from tests.instrumentation.programs import Stage
from tests.services.found import Found

Recorded = Callable[[], list[Record]]
Install = Callable[[Any], InMemorySpanExporter]


@pytest.fixture
def install(monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """Install a provider for the whole process, as far as this test goes; give what it exports."""

    def installing(provider: Any) -> InMemorySpanExporter:
        exporter = InMemorySpanExporter()
        provider.add_span_processor(SimpleSpanProcessor(exporter))
        monkeypatch.setattr(trace, "_TRACER_PROVIDER", provider)
        return exporter

    yield installing
    watching.ask_again()


@task
def step(x: int, options: dict[str, int] | None = None) -> int:  # noqa: ARG001  # it is recorded
    """Add one."""
    return x + 1


def run() -> None:
    """Run tasks of ours around spans of others, and inside of them."""
    tracer = trace.get_tracer("other")
    with workflow("main"), tracer.start_as_current_span("between"):
        step(1, {"a": 1})
        try:
            with task("fails") as failing:
                failing.add_event("soon", {"n": 1})
                failing.set_attribute("batch", 3)
                with tracer.start_as_current_span("inside"):
                    pass
                raise ValueError("too high")  # noqa: TRY301  # it has to leave the block
        except ValueError:
            pass


def ids(span: ReadableSpan) -> str:
    """Return the id of the record that a span is."""
    context = span.get_span_context()
    assert context is not None
    return f"{context.trace_id:032x}-{context.span_id:016x}"


def parent(span: ReadableSpan) -> str | None:
    """Return the id of the record that a span is inside of."""
    around = span.parent
    return None if around is None else f"{around.trace_id:032x}-{around.span_id:016x}"


@pytest.mark.parametrize("provider", [TracerProvider, OwnProvider])
def test_tasks_are_good_spans_of_stock_exporters(
    provider: Callable[[], Any], recorded: Recorded, install: Install
) -> None:
    """Stock exporters see tasks with ids, times, status, events and attributes, in one tree with other spans."""
    exporter = install(provider())
    run()
    spans = {span.name: span for span in exporter.get_finished_spans()}
    records = {found.name: found for found in recorded()}
    main, between, inner, fails, inside = (spans[name] for name in ("main", "between", "step", "fails", "inside"))

    assert [parent(span) for span in (main, between, inner, fails, inside)] == [
        None,
        ids(main),
        ids(between),
        ids(between),
        ids(fails),
    ]
    for span in (main, inner, fails):
        known = records[span.name].plain
        assert (ids(span), span.start_time, span.end_time) == (
            records[span.name].id,
            known["started_at"],
            known["ended_at"],
        )
        assert records[span.name].parent_id == parent(span)
    assert inner.attributes is not None
    assert {key: inner.attributes[f"prov.{key}"] for key in ("used.x", "used.options", "generated.result")} == {
        "used.x": 1,
        "used.options": '{"a": 1}',
        "generated.result": 2,
    }
    assert (inner.status.status_code, fails.status.status_code) == (StatusCode.UNSET, StatusCode.ERROR)
    assert fails.status.description == "too high"
    assert [event.name for event in fails.events] == ["soon", "exception"]
    assert fails.attributes is not None
    assert (fails.attributes["batch"], fails.attributes["error.type"]) == (3, "ValueError")


def test_the_journals_copy_is_kept(recorded: Recorded, install: Install) -> None:
    """Where both copies of a task come to one store they are one record, the journal's, whichever comes first."""
    exporter = install(TracerProvider())
    run()
    spans = exporter.get_finished_spans()
    exported = decode(Batch(Signal.TRACES, encode_spans(spans).SerializeToString(), len(spans)))
    copies = {f"{plain['trace_id']}-{plain['span_id']}": plain for plain in exported}

    records = recorded()
    assert len(records) == 3
    for found in records:
        assert merge(found.plain, copies[found.id]) == merge(copies[found.id], found.plain) == found.plain


def test_whatever_it_samples(recorded: Recorded, install: Install) -> None:
    """What the provider drops is recorded, and what is inside of it the provider drops too."""
    exporter = install(TracerProvider(sampler=ALWAYS_OFF))
    run()
    records = {found.name: found for found in recorded()}

    assert exporter.get_finished_spans() == ()
    assert records.keys() == {"main", "step", "fails"}
    assert {found.trace_id for found in records.values()} == {records["main"].trace_id}


def test_whatever_its_limits(recorded: Recorded, install: Install) -> None:
    """The journal has what the provider has no room for."""
    install(TracerProvider(span_limits=SpanLimits(max_span_attributes=1, max_attribute_length=1)))
    run()
    (found,) = [found for found in recorded() if found.name == "step"]

    assert (found.used, found.generated) == ({"x": 1, "options": {"a": 1}}, {"result": 2})


def test_a_provider_that_comes_and_goes(recorded: Recorded, install: Install) -> None:
    """Tasks before a provider is installed are recorded alone, and so are those after it was switched off."""
    step(1)
    provider = TracerProvider()
    exporter = install(provider)
    step(2)
    provider.shutdown()
    step(3)

    assert [span.name for span in exporter.get_finished_spans()] == ["step"]
    assert [found.used["x"] for found in recorded()] == [1, 2, 3]


def test_a_provider_that_is_switched_off(recorded: Recorded, install: Install, monkeypatch: pytest.MonkeyPatch) -> None:
    """The tracers of a disabled SDK hand back what is current; tasks, where they are wanted, have ids of their own."""
    monkeypatch.setenv("OTEL_SDK_DISABLED", "true")
    monkeypatch.setenv("PROVTEL_DISABLED", "false")
    install(TracerProvider())
    with task("outer"):
        step(1)
    outer, inner = recorded()

    assert outer.id != inner.id
    assert inner.parent_id == outer.id


def test_a_provider_that_fails(recorded: Recorded, install: Install, capsys: pytest.CaptureFixture[str]) -> None:
    """What another's code raises is said once, and harms neither the program nor the record."""

    class Broken(TracerProvider):
        def get_tracer(self, *_: Any, **__: Any) -> Any:
            return None

    install(Broken())
    assert step(1) == 2
    assert step(2) == 3

    assert [found.status for found in recorded()] == [State.FINISHED] * 2
    assert capsys.readouterr().err.count("\n") == 1
    notices._counts.clear()


def test_every_kind_of_activity(recorded: Recorded, install: Install) -> None:
    """Loops, generators, and what is over already are spans of the provider like calls."""
    exporter = install(TracerProvider())

    @task
    def stream() -> Iterator[int]:
        yield 1

    for _ in loop([1, 2], name="lr"):
        assert [*stream()] == [1]
    record("past", started_at=1_000, ended_at=2_000, used={"a": 1}, error="late")
    records = {found.id: found for found in recorded()}
    spans = exporter.get_finished_spans()

    assert {ids(span): parent(span) for span in spans} == {found.id: found.parent_id for found in records.values()}
    (past,) = [span for span in spans if span.name == "past"]
    assert (past.start_time, past.end_time, past.status.status_code) == (1_000, 2_000, StatusCode.ERROR)


def test_current_is_ours(recorded: Recorded, install: Install) -> None:
    """Inside a task the current span is the task, whose context is what the provider gave it."""
    exporter = install(TracerProvider())
    with task("outer") as outer:
        assert trace.get_current_span() is current() is outer
        context = trace.get_current_span().get_span_context()
    recorded()

    assert exporter.get_finished_spans()[0].context == context


def test_beside_logfire(stage: Stage, found_logfire: Found) -> None:
    """Tasks go through logfire's provider, under its ids, and nest with its spans both ways."""
    stage.environment |= {"PYTHONPATH": str(found_logfire.binary), "LOGFIRE_CONSOLE": "false"}
    told = stage.run(
        """
        import logfire
        from logfire.testing import TestExporter
        from opentelemetry.sdk.trace.export import SimpleSpanProcessor
        from provtel import task, workflow
        exporter = TestExporter()
        logfire.configure(
            send_to_logfire=False, additional_span_processors=[SimpleSpanProcessor(exporter)], inspect_arguments=False
        )
        with workflow("main"), logfire.span("between"), task("inner"):
            pass
        for span in exporter.exported_spans:
            if span.attributes.get("logfire.span_type") != "pending_span":
                print(span.name, f"{span.context.span_id:016x}", f"{span.parent.span_id:016x}" if span.parent else "-")
        """
    ).stdout
    spans = {name: (span, around) for name, span, around in map(str.split, told.splitlines())}
    records = {found.name: found for found in stage.records()}

    assert {name: spans[name][0] for name in ("main", "inner")} == {
        name: records[name].span_id for name in ("main", "inner")
    }
    assert spans["between"][1] == spans["main"][0]
    assert spans["inner"][1] == spans["between"][0]
