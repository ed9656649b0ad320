"""A program that knows OpenTelemetry only, and our collector and command line."""

from __future__ import annotations

from pathlib import Path

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
