"""The provenance processor checks and completes, and drops nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from provtel_collector.processors.provenance.activities import Activity
from provtel_collector.processors.provenance.completing import flatten, nest
from provtel_model import attributes as names
from provtel_model.components import Batch, Signal
from provtel_model.otlp import check, decode
from provtel_model.otlp.decode import attributes_of

from tests.collector.parts import Workshop
from tests.collector.processors.made import Made
from tests.collector.processors.requests import fill

TRACE = b"t" * 16


def spans(*described: dict[str, Any]) -> Batch:
    """Return a batch of spans; each has an id, may have a parent, and has attributes."""
    request = ExportTraceServiceRequest()
    scope = request.resource_spans.add().scope_spans.add()
    for one in described:
        span = scope.spans.add(
            trace_id=one.get("trace", TRACE),
            span_id=bytes([one["id"]]) * 8,
            parent_span_id=bytes([one["parent"]]) * 8 if "parent" in one else b"",
            start_time_unix_nano=one.get("start", 1),
            end_time_unix_nano=one.get("end", 2),
        )
        fill(span.attributes, one.get("attributes", {}))
    return check(Signal.TRACES, request.SerializeToString())


def processed(made: Made, *batches: Batch) -> list[dict[str, Any]]:
    """Return the plain records that come out."""
    with made as component:
        for one in batches:
            component.consume(one)
    return [dict(record) for one in made.recorder.batches for record in decode(one)]


def test_complete_activities_stay_as_they_are() -> None:
    """What needs no change goes on as the same bytes."""
    made = Made("provenance", {})
    given = spans({"id": 1, "attributes": {names.WORKFLOW_ID: "w", names.PROV_USED: {"lr": 0.1}}})

    processed(made, given)

    assert made.recorder.batches == [given]
    assert made.recorder.batches[0] is given
    assert made.counts == {}


def test_workflow_comes_from_the_parents() -> None:
    """A span gets the id of the workflow of its nearest parent that has one, also from earlier batches."""
    made = Made("provenance", {})
    workflow = {"id": 1, "attributes": {names.PROV_ACTIVITY_TYPE: "workflow"}}
    inner = {"id": 4, "parent": 2, "attributes": {names.WORKFLOW_ID: "inner"}}

    records = processed(
        made,
        spans({"id": 3, "parent": 2}, {"id": 2, "parent": 1}, workflow),
        spans({"id": 5, "parent": 3}, inner, {"id": 6, "parent": 4}, {"id": 7, "parent": 99}, {"id": 8}),
    )

    own = f"{TRACE.hex()}-{'01' * 8}"
    assert [record.get("workflow_id") for record in records] == [own, own, own, own, "inner", "inner", None, None]
    assert made.counts["processor_provenance_completed_spans", "workflow"] == 5


def test_memory_is_bounded() -> None:
    """Only so many activities are remembered as is said."""
    made = Made("provenance", {"remembered": 2})

    processed(made, *(spans({"id": number}) for number in range(1, 9)))

    assert len(made.component._workflows._known) == 2


def test_workflow_of_open_activities() -> None:
    """Log records that tell of activities are completed too; others stay as they are."""
    request = ExportLogsServiceRequest()
    records = request.resource_logs.add().scope_logs.add().log_records
    told = records.add(event_name=names.EVENT_STARTED, trace_id=TRACE, span_id=b"1" * 8)
    fill(told.attributes, {names.PROV_ACTIVITY_TYPE: "workflow", names.PROV_ACTIVITY_NAME: "w"})
    child = records.add(event_name=names.EVENT_STARTED, trace_id=TRACE, span_id=b"2" * 8)
    fill(child.attributes, {names.PROV_ACTIVITY_PARENT_ID: (b"1" * 8).hex(), f"{names.PROV_USED}.lr": 0.1})
    other = records.add(event_name="other", trace_id=TRACE, span_id=b"3" * 8)
    fill(other.attributes, {f"{names.PROV_USED}.lr": 0.1})
    made = Made("provenance", {})

    first, second = processed(made, check(Signal.LOGS, request.SerializeToString()))

    assert first["workflow_id"] == second["workflow_id"] == f"{TRACE.hex()}-{(b'1' * 8).hex()}"
    assert second["used"] == {"lr": 0.1}
    sent = ExportLogsServiceRequest.FromString(made.recorder.batches[0].payload)
    assert sent.resource_logs[0].scope_logs[0].log_records[2] == other


def test_start_of_a_parent_completes_its_children(tmp_path: Path) -> None:
    """What a log record told of a parent that still runs completes the spans of its children, in another pipeline."""
    workshop = Workshop(tmp_path)
    document = """
receivers: {part/r: }
processors: {provenance: }
exporters: {part/e: }
service:
  pipelines:
    logs: {receivers: [part/r], processors: [provenance], exporters: [part/e]}
    traces: {receivers: [part/r], processors: [provenance], exporters: [part/e]}
"""
    request = ExportLogsServiceRequest()
    started = request.resource_logs.add().scope_logs.add().log_records.add(event_name=names.EVENT_STARTED)
    started.trace_id, started.span_id = TRACE, bytes([1]) * 8
    fill(started.attributes, {names.WORKFLOW_ID: "w"})

    with workshop.service(document):
        following = workshop.part("part/r").context.next
        following[Signal.LOGS].consume(check(Signal.LOGS, request.SerializeToString()))
        following[Signal.TRACES].consume(spans({"id": 2, "parent": 1}))

    (record,) = decode(workshop.part("part/e").batches[-1])
    assert record["workflow_id"] == "w"


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ("nested", {names.PROV_USED: {"lr": 0.2, "x": [1]}}),
        ("flattened", {f"{names.PROV_USED}.lr": 0.1, f"{names.PROV_USED}.x": [1]}),
        ("keep", {names.PROV_USED: {"lr": 0.1, "x": [1]}, f"{names.PROV_USED}.lr": 0.2}),
    ],
)
def test_data(data: str, expected: dict[str, Any]) -> None:
    """Data are given on in the form that is asked for."""
    given: dict[str, Any] = {names.PROV_USED: {"lr": 0.1, "x": [1]}}
    if data != "flattened":
        given[f"{names.PROV_USED}.lr"] = 0.2
    made = Made("provenance", {"data": data})

    processed(made, spans({"id": 1, "attributes": given}))

    (sent,) = made.recorder.batches
    span = ExportTraceServiceRequest.FromString(sent.payload).resource_spans[0].scope_spans[0].spans[0]
    assert attributes_of(span.attributes) == expected


@given(st.dictionaries(st.text(min_size=1), st.integers(0, 9), min_size=1))
def test_forms_of_data_are_equal(roles: dict[str, int]) -> None:
    """Flattened and nested again, data are what they were, whatever their roles are called."""
    span = ExportTraceServiceRequest().resource_spans.add().scope_spans.add().spans.add()
    fill(span.attributes, {names.PROV_GENERATED: roles, "other": 1})

    assert flatten(Activity(b"", b"", b"", 0, 0, span.attributes))
    assert nest(Activity(b"", b"", b"", 0, 0, span.attributes))

    assert attributes_of(span.attributes) == {names.PROV_GENERATED: roles, "other": 1}


def test_plan() -> None:
    """Older names of the code are completed by those of today, which count more where they are there."""
    made = Made("provenance", {})
    older = {names.CODE_FUNCTION: "f", names.CODE_FILEPATH: "a.py", names.CODE_LINENO: 3, names.CODE_FILE_PATH: "b.py"}

    (record,) = processed(made, spans({"id": 1, "attributes": older}))

    assert record["plan"] == {"function": "f", "file": "b.py", "line": 3}
    assert made.counts == {("processor_provenance_completed_spans", "plan"): 1}


def test_malformed_is_counted() -> None:
    """What is wrong is counted by its reason, and goes on."""
    made = Made("provenance", {})
    wrong = {names.PROV_USED: "text", names.WORKFLOW_ID: 5}

    processed(
        made,
        spans(
            {"id": 0},
            {"id": 1, "trace": b"short"},
            {"id": 2, "start": 5, "end": 4},
            {"id": 3, "attributes": wrong},
            {"id": 4},
        ),
    )

    assert made.recorder.batches[0].items == 5
    assert {
        reason: made.counts["processor_provenance_malformed_spans", reason] for reason in ("ids", "times", "types")
    } == {
        "ids": 2,
        "times": 1,
        "types": 1,
    }


@pytest.mark.parametrize("signal", [Signal.TRACES, Signal.LOGS])
def test_half_of_the_signals(signal: Signal, caplog: pytest.LogCaptureFixture) -> None:
    """At start it warns where traces or logs have no way through the collector."""
    with Made("provenance", {}, signals=frozenset({signal, Signal.METRICS})):
        missing = ({Signal.TRACES, Signal.LOGS} - {signal}).pop()
        assert f"provenance/one: no pipeline carries {missing}" in caplog.text


def test_all_signals(caplog: pytest.LogCaptureFixture) -> None:
    """With both it says nothing."""
    with Made("provenance", {}):
        assert caplog.text == ""
