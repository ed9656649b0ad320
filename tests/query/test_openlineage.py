"""OpenLineage: our records as events that are valid, and events of others as records that can be asked."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from provtel_model.components import Batch, Signal
from provtel_model.errors import MalformedError
from provtel_model.hashing import canonical_bytes
from provtel_model.otlp import decode
from provtel_model.record import Record, as_any_value, key_of
from provtel_query.openlineage import events_of, read_events
from provtel_query.openlineage.datasets import name_of, reference_of

from tests.model.strategies import TRACE_REQUESTS
from tests.query.activities import activity, file, quickstart
from tests.query.openlineage_schema import validator

if TYPE_CHECKING:
    from pathlib import Path

    from provtel_model.record import PlainRecord

    from tests.query.conftest import StoreOf


def failed_and_open() -> list[PlainRecord]:
    """Return a task that failed, one that still runs, and one whose process is gone."""
    error: Any = {"type": "ValueError", "message": "bad", "stacktrace": "Traceback"}
    vcs: Any = {"vcs.repository.url.full": "https://example.org/r.git", "vcs.ref.head.revision": "ab" * 20}
    resource = {"process.runtime.name": "cpython", "process.runtime.version": "3.11.7", **vcs}
    return [
        activity(
            7,
            "read",
            used={"table": file("s3://bucket/a/b.csv"), "rate": 0.5},
            generated={"out": file("file:///data/x%20y.csv")},
            status="error",
            error=error,
            tags=["t"],
            agent={"id": "ag", "acted_on_behalf_of": "me"},
            plan={"file": "a.py", "function": "read"},
            resource=resource,
        ),
        activity(8, "open", at=(8, None), status="running", last_seen_at=9),
        activity(9, "gone", at=(9, None), status="lost", last_seen_at=9),
    ]


def test_events_are_valid(reference_data: Path) -> None:
    """Every event validates against OpenLineage's schema and those of the standard facets."""
    schema = validator(reference_data)
    events = list(events_of(map(Record, [*quickstart(), *failed_and_open()])))

    for event in events:
        schema.validate(json.loads(json.dumps(event)))
    assert [event["eventType"] for event in events[-6:]] == ["START", "FAIL", "START", "RUNNING", "START", "ABORT"]


def test_the_example_of_others(reference_data: Path) -> None:
    """The example that OpenLineage ships is a finished task, with the facets that it came with."""
    path = reference_data / "openlineage" / "tests" / "example_full_event.json"
    (record,) = read_events([json.loads(path.read_text())])

    assert (record["name"], record["kind"], record["status"]) == ("dbt", "task", "finished")
    assert "SELECT 1" in str(record["attributes"]["openlineage.job.facets"])


@given(request=TRACE_REQUESTS)
@settings(max_examples=50)
def test_our_own_come_back(request: ExportTraceServiceRequest) -> None:
    """Whatever records are exported, their events, through JSON, come back as the same records."""
    decoded = decode(Batch(Signal.TRACES, request.SerializeToString(), 1))
    plains = list({key_of(plain).id: plain for plain in decoded}.values())
    events = json.loads(json.dumps(list(events_of(map(Record, plains)))))

    assert [canonical_bytes(as_any_value(plain)) for plain in read_events(events)] == [
        canonical_bytes(as_any_value(plain)) for plain in plains
    ]


@given(uri=st.sampled_from(["file:///a b/c%20d.csv", "s3://bucket/key/x", "https://h/p?q=1", "relative/x.csv"]))
def test_names_lead_back(uri: str) -> None:
    """The namespace and name of a dataset lead back to the same place."""
    namespace, name = name_of({"uri": uri})
    again = reference_of({"namespace": namespace, "name": name}, None)

    assert name_of(again) == (namespace, name)


def _event(kind: str, run: str, job: str, second: int, **fields: Any) -> dict[str, Any]:
    facets = {"parent": {"run": {"runId": fields.pop("parent")}, "job": {}}} if "parent" in fields else {}
    return {
        "eventType": kind,
        "eventTime": f"2026-01-01T00:00:{second:02}Z",
        "run": {"runId": run, "facets": facets | fields.pop("facets", {})},
        "job": {"namespace": "ns", "name": job},
        "producer": "https://example.org/scheduler",
        "schemaURL": "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/RunEvent",
        **fields,
    }


RUNS = [f"{number:08x}-0000-4000-8000-000000000000" for number in range(1, 6)]
TABLE = {"namespace": "postgres://db:5432", "name": "public.t", "facets": {"version": {"datasetVersion": "7"}}}


def _foreign() -> list[dict[str, Any]]:
    parameters = {"executionParameters": {"parameters": [{"key": "limit", "value": "10"}]}}
    return [
        _event("START", RUNS[0], "dag", 0),
        _event("START", RUNS[1], "dag.write", 1, parent=RUNS[0], facets=parameters),
        _event("COMPLETE", RUNS[1], "dag.write", 2, parent=RUNS[0], outputs=[TABLE]),
        _event("START", RUNS[2], "dag.read", 3, parent=RUNS[0], inputs=[TABLE]),
        _event("FAIL", RUNS[2], "dag.read", 4, parent=RUNS[0], facets={"errorMessage": {"message": "boom"}}),
        _event("COMPLETE", RUNS[0], "dag", 5),
        {"eventTime": "2026-01-01T00:00:00Z", "dataset": TABLE},
    ]


def test_events_of_others(store_of: StoreOf) -> None:
    """Events of others are one run: a workflow and its tasks with times, parameters, errors, and lineage by dataset."""
    store = store_of(read_events(_foreign()))
    (dag,) = store.workflows()
    read, write = store.tasks(run=dag.id)

    assert [child.id for child in store.children(dag)] == [write.id, read.id]
    assert (write.used, write.workflow_name, write.status) == ({"limit": "10"}, "dag", "finished")
    assert (read.status, read.error and read.error.message) == ("error", "boom")
    (usage, *_) = [usage for usage in store.lineage(read).usages if usage.activity == read.id]
    assert (usage.evidence, usage.entity) == ("declared", f"{write.id}/public.t")


@pytest.mark.parametrize(
    ("event", "said"),
    [
        (7, "event 1 is no OpenLineage event: it is no object"),
        ({"eventTime": "2026-01-01T00:00:00Z"}, "it lacks 'run'"),
        (_event("BEGIN", RUNS[0], "j", 0), "eventType 'BEGIN' is none of"),
        (_event("START", "no uuid", "j", 0), "event 1"),
        (_event("START", RUNS[0], "j", 0) | {"eventTime": "yesterday"}, "yesterday"),
        (_event("START", RUNS[0], "j", 0) | {"job": {}}, "it lacks 'namespace'"),
    ],
    ids=repr,
)
def test_what_is_no_event(event: object, said: str) -> None:
    """What is no event is told with its place and its fault."""
    with pytest.raises(MalformedError, match=said):
        read_events([event])


def test_a_facet_of_our_name_by_others() -> None:
    """A facet of our name that holds no record of ours is a facet like others."""
    odd = _event("COMPLETE", RUNS[3], "j", 1, facets={"provtel": {"request": {"resourceSpans": 7}, "signal": "traces"}})

    assert [record["name"] for record in read_events([odd])] == ["j"]
