"""Spans of other instrumentations inside a workflow of ours are completed by the collector, and found in its run."""

from __future__ import annotations

import json
from pathlib import Path

from provtel_model import attributes

from tests.collector.running import provtel, running
from tests.end_to_end.processes import Place
from tests.services.otelcol.server import free_ports

PROGRAM = f"""
import time

from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from provtel import task, workflow

provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(OTLPSpanExporter()))
tracer = provider.get_tracer("library")

with workflow("sweep"):
    with task("train", used={{"lr": 0.1}}):
        time.sleep(4)  # until the shipper told of what runs
        with tracer.start_as_current_span("query") as span:
            span.set_attribute("{attributes.PROV_USED}.rows", 5)
            span.set_attribute("{attributes.CODE_FUNCTION}", "fetch")
with tracer.start_as_current_span("alone"):
    pass
provider.shutdown()
"""


def test_library_spans_get_the_workflow(tmp_path: Path) -> None:
    """A span of a library gets the workflow of the task around it, though that has not ended when the span comes."""
    place = Place(tmp_path)
    (otlp,) = free_ports(1)
    pipeline = {"receivers": ["otlp"], "processors": ["provenance"], "exporters": ["lmdb"]}
    document = {
        "receivers": {"otlp": {"protocols": {"http": {"endpoint": f"127.0.0.1:{otlp}"}}}},
        "processors": {"provenance": {}},
        "exporters": {"lmdb": {"store": str(place.store)}},
        "service": {"telemetry": {"metrics": {"level": "none"}}, "pipelines": {"traces": pipeline, "logs": pipeline}},
    }
    (tmp_path / "collector.yaml").write_text(json.dumps(document))
    (tmp_path / "program.py").write_text(PROGRAM)

    with running(provtel("collector", "--config", "collector.yaml"), tmp_path) as collector:
        place.run("program.py", OTEL_EXPORTER_OTLP_ENDPOINT=f"http://127.0.0.1:{otlp}")
        collector.stop()
    found = {record["name"]: record for record in place.objects("tasks", "--all")}

    assert found["query"]["workflow_id"] == found["train"]["workflow_id"]
    assert found["query"]["used"] == {"rows": 5}
    assert found["query"]["plan"] == {"function": "fetch"}
