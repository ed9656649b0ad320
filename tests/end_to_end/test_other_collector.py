"""Our spans, and the OpenTelemetry Collector itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from provtel_model import attributes

from tests.end_to_end.processes import Place
from tests.services.otelcol.server import Otelcol

TASKS = 200
PROGRAM = f"""
from provtel import task, workflow


@task(outputs="half")
def halve(number, words):
    return number / 2


@workflow
def many():
    for number in range({TASKS}):
        halve(number, ["one", "two"])


many()
"""


def test_spans_arrive_complete(tmp_path: Path, otelcol: Otelcol) -> None:
    """The OpenTelemetry Collector gets every span that we ship, with its times, its parent and its data."""
    place = Place(tmp_path)
    (tmp_path / "program.py").write_text(PROGRAM)

    place.run("program.py", OTEL_EXPORTER_OTLP_ENDPOINT=otelcol.endpoint)
    spans = otelcol.wait_for_spans(TASKS + 1)

    workflow, *tasks = sorted(spans, key=lambda span: int(span["startTimeUnixNano"]))
    assert place.journals() == []
    assert len({span["spanId"] for span in spans}) == TASKS + 1
    assert {span["traceId"] for span in spans} == {workflow["traceId"]}
    assert workflow["name"] == "many"
    assert [(task["name"], task["parentSpanId"]) for task in tasks] == [("halve", workflow["spanId"])] * TASKS
    assert all(int(span["startTimeUnixNano"]) <= int(span["endTimeUnixNano"]) for span in spans)
    words = {"arrayValue": {"values": [{"stringValue": "one"}, {"stringValue": "two"}]}}
    assert [(data(task, attributes.PROV_USED), data(task, attributes.PROV_GENERATED)) for task in tasks] == [
        ({"number": {"intValue": str(number)}, "words": words}, {"half": {"doubleValue": number / 2}})
        for number in range(TASKS)
    ]


def data(span: dict[str, Any], name: str) -> dict[str, Any]:
    """Return what a span says that it used or generated, by role, in JSON's form."""
    (values,) = (pair["value"]["kvlistValue"]["values"] for pair in span["attributes"] if pair["key"] == name)
    return {value["key"]: value["value"] for value in values}
