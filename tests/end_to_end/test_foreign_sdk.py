"""A program that knows OpenTelemetry only, and our collector and command line."""

from __future__ import annotations

from pathlib import Path

from provtel_query import connect

from tests.end_to_end.processes import Place, collecting

PROGRAM = """
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

provider = TracerProvider(resource=Resource({"service.name": "stock"}))
provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
trace.set_tracer_provider(provider)
tracer = trace.get_tracer("stock")

with tracer.start_as_current_span("pipeline", attributes={"prov.activity.type": "workflow"}):
    with tracer.start_as_current_span("clean") as span:
        span.set_attributes({"prov.activity.type": "task", "prov.used.rows": 1000, "prov.generated.kept": 990})
    try:
        with tracer.start_as_current_span("fit") as span:
            span.set_attributes({"prov.activity.type": "task", "prov.used.kept": 990, "prov.used.rate": 0.5})
            raise ValueError("rate is too high")
    except ValueError:
        pass
provider.shutdown()
"""


def test_stock_sdk_with_prov_attributes(tmp_path: Path) -> None:
    """Spans of the stock SDK that bear PROV attributes are tasks like our own: found, shown, followed."""
    place = Place(tmp_path)
    (tmp_path / "program.py").write_text(PROGRAM)

    with collecting(place) as collector:
        place.run("program.py", OTEL_EXPORTER_OTLP_ENDPOINT=collector.endpoint)
        collector.stop()
    tasks = place.objects("tasks", "--sort", "started_at")

    assert [(task["name"], task["used"], task["generated"], task["status"]) for task in tasks] == [
        ("clean", {"rows": 1000}, {"kept": 990}, "finished"),
        ("fit", {"kept": 990, "rate": 0.5}, {}, "error"),
    ]
    assert tasks[1]["error"]["type"] == "ValueError"
    assert tasks[1]["error"]["message"] == "rate is too high"
    assert [workflow["name"] for workflow in place.objects("workflows")] == ["pipeline"]
    assert "kept <- clean <- rows" in place.provtel("lineage", "kept=990").splitlines()


WHOLE = """
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Link, SpanKind, StatusCode

provider = TracerProvider()
provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
tracer = provider.get_tracer("stock", "1.0")
run = {"workflow.id": "run-7", "workflow.name": "study", "workflow.campaign.id": "paper"}
first = tracer.start_span("first", attributes={**run, "prov.generated.table": "s3://bucket/table"})
first.end()
with tracer.start_as_current_span("second", links=[Link(first.get_span_context(), {"why": "input"})]) as span:
    span.set_attributes({
        **run, "prov.activity.type": "training", "prov.used.table": "s3://bucket/table", "prov.used.layers": [64, 32],
        "prov.agent.id": "me", "prov.plan.hash": "sha256:00", "code.function.name": "train", "code.line.number": 7,
        "workflow.task.tags": ["slow", "gpu"], "task.cpu.user": 1.5, "custom": True,
    })
    span.add_event("epoch", {"loss": 0.5})
    span.set_status(StatusCode.OK)
with tracer.start_as_current_span("ask", kind=SpanKind.CLIENT, attributes={"http.request.method": "GET"}):
    pass
provider.shutdown()
"""


def test_stock_sdk_as_a_full_citizen(tmp_path: Path) -> None:
    """Run, agent, plan, tags, telemetry, links, events and status of a stock span are the record's; nothing is lost."""
    place = Place(tmp_path)
    (tmp_path / "program.py").write_text(WHOLE)
    with collecting(place) as collector:
        place.run("program.py", OTEL_EXPORTER_OTLP_ENDPOINT=collector.endpoint)
        collector.stop()
    with connect(place.store) as store:
        records = {record.name: record for record in store.records()}
    first, second, ask = (records[name] for name in ("first", "second", "ask"))

    assert [record.kind for record in (first, second, ask)] == ["task", "training", "span"]
    assert (second.workflow_id, second.workflow_name, second.campaign_id) == ("run-7", "study", "paper")
    assert second.used == {"table": "s3://bucket/table", "layers": [64, 32]}
    assert second.agent is not None
    assert second.plan is not None
    assert (second.agent.id, second.plan.function, second.plan.line) == ("me", "train", 7)
    assert (second.tags, second.telemetry, second.attributes) == (("slow", "gpu"), {"cpu.user": 1.5}, {"custom": True})
    assert [(event.name, event.attributes) for event in second.events] == [("epoch", {"loss": 0.5})]
    assert [(link.id, link.attributes) for link in second.links] == [(first.id, {"why": "input"})]
    assert (second.status.value, second.plain["span_status"], ask.plain["span_kind"]) == ("finished", 1, 3)
    assert second.plain["scope"] == {"name": "stock", "version": "1.0"}
    assert "layers" in place.provtel("show", second.id)
