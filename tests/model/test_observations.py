"""Data points and log records as they come by OTLP, their identity, and the windows that select them."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import ormsgpack
import pytest
from google.protobuf.message import Message
from hypothesis import given, settings
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from provtel_model.components import Batch, Signal
from provtel_model.errors import FilterError, MalformedError
from provtel_model.otlp.encode_observations import encode_logs, encode_points
from provtel_model.otlp.json_codec import from_json
from provtel_model.otlp.observations import decode_logs, decode_points
from provtel_model.telemetry import Window, observation_id

from tests.model.strategies import LOG_REQUESTS, METRIC_REQUESTS, OTHER_LOG_REQUESTS

RESOURCE = {
    "attributes": [
        {"key": "host.name", "value": {"stringValue": "n1"}},
        {"key": "process.pid", "value": {"intValue": "7"}},
    ]
}
ORIGIN = {"resource": {"host.name": "n1", "process.pid": 7}, "host": "n1", "pid": 7, "scope": {"name": "s"}}
TRACE, SPAN = "ab" * 16, "cd" * 8
METRICS: list[tuple[dict[str, Any], dict[str, Any]]] = [
    (
        {"name": "rss", "unit": "By", "gauge": {"dataPoints": [{"timeUnixNano": 5, "asInt": "3"}]}},
        {"name": "rss", "unit": "By", "kind": "gauge", "time": 5, "value": 3},
    ),
    (
        {
            "name": "cpu",
            "description": "d",
            "sum": {
                "aggregationTemporality": 2,
                "isMonotonic": True,
                "dataPoints": [
                    {
                        "startTimeUnixNano": 1,
                        "timeUnixNano": 5,
                        "asDouble": 0.5,
                        "attributes": [{"key": "cpu.mode", "value": {"stringValue": "user"}}],
                        "exemplars": [{"timeUnixNano": 4, "asDouble": 0.1, "traceId": TRACE, "spanId": SPAN}],
                    }
                ],
            },
        },
        {
            "name": "cpu",
            "kind": "sum",
            "description": "d",
            "temporality": "cumulative",
            "monotonic": True,
            "time": 5,
            "started_at": 1,
            "value": 0.5,
            "attributes": {"cpu.mode": "user"},
            "exemplars": [{"time": 4, "value": 0.1, "trace_id": TRACE, "span_id": SPAN}],
        },
    ),
    (
        {
            "name": "t",
            "histogram": {
                "aggregationTemporality": 1,
                "dataPoints": [
                    {"timeUnixNano": 5, "count": 2, "sum": 3.0, "explicitBounds": [1.0], "bucketCounts": ["1", "1"]}
                ],
            },
        },
        {
            "name": "t",
            "kind": "histogram",
            "temporality": "delta",
            "time": 5,
            "distribution": {"count": 2, "sum": 3.0, "bounds": [1.0], "counts": [1, 1]},
        },
    ),
    (
        {
            "name": "e",
            "exponentialHistogram": {
                "dataPoints": [
                    {"timeUnixNano": 5, "count": 1, "scale": 3, "positive": {"offset": -1, "bucketCounts": ["1"]}}
                ]
            },
        },
        {
            "name": "e",
            "kind": "exponential_histogram",
            "time": 5,
            "distribution": {"count": 1, "scale": 3, "zero_count": 0, "positive": {"offset": -1, "counts": [1]}},
        },
    ),
    (
        {
            "name": "q",
            "summary": {
                "dataPoints": [
                    {"timeUnixNano": 5, "count": 1, "sum": 2.0, "quantileValues": [{"quantile": 0.5, "value": 2.0}]}
                ]
            },
        },
        {
            "name": "q",
            "kind": "summary",
            "time": 5,
            "distribution": {"count": 1, "sum": 2.0, "quantiles": [{"quantile": 0.5, "value": 2.0}]},
        },
    ),
]


def _metrics(metric: dict[str, Any]) -> Batch:
    scoped = {"scope": {"name": "s"}, "metrics": [metric]}
    request = {"resourceMetrics": [{"resource": RESOURCE, "scopeMetrics": [scoped]}]}
    return Batch(Signal.METRICS, from_json(Signal.METRICS, json.dumps(request).encode()), 1)


def _logs(*logs: dict[str, Any]) -> Batch:
    scoped = {"scope": {"name": "s"}, "logRecords": logs}
    request = {"resourceLogs": [{"resource": RESOURCE, "scopeLogs": [scoped]}]}
    return Batch(Signal.LOGS, from_json(Signal.LOGS, json.dumps(request).encode()), len(logs))


@pytest.mark.parametrize(("metric", "point"), METRICS, ids=lambda case: case["name"])
def test_data_points_are_read(metric: dict[str, Any], point: dict[str, Any]) -> None:
    """A data point of each kind of metric keeps everything that OTLP says of it, and who it is of."""
    assert decode_points(_metrics(metric)) == [point | ORIGIN]


def test_log_records_are_read() -> None:
    """A log record keeps its body, severity and ids; one that stands for an activity is none."""
    log = {
        "timeUnixNano": 5,
        "observedTimeUnixNano": 6,
        "severityNumber": 9,
        "severityText": "INFO",
        "body": {"stringValue": "said"},
        "traceId": TRACE,
        "spanId": SPAN,
        "attributes": [{"key": "k", "value": {"boolValue": True}}],
    }
    started = {"timeUnixNano": 5, "traceId": TRACE, "spanId": SPAN, "eventName": "prov.activity.started"}

    assert decode_logs(_logs(log, started)) == [
        {
            "time": 5,
            "observed_at": 6,
            "severity": 9,
            "severity_text": "INFO",
            "body": "said",
            "trace_id": TRACE,
            "span_id": SPAN,
            "attributes": {"k": True},
        }
        | ORIGIN
    ]


def test_what_is_of_another_signal_has_none() -> None:
    """A batch of logs has no data points, one of metrics no log records; bytes that are neither are refused."""
    assert decode_points(_logs({"timeUnixNano": 5})) == []
    assert decode_logs(_metrics(METRICS[0][0])) == []
    for read, signal in ((decode_points, Signal.METRICS), (decode_logs, Signal.LOGS)):
        with pytest.raises(MalformedError):
            read(Batch(signal, b"\xff", 1))


@given(request=LOG_REQUESTS)
def test_identity_is_that_of_the_content(request: ExportLogsServiceRequest) -> None:
    """A log record that is delivered twice has one id, and one that differs in anything has another."""
    first, again = (decode_logs(Batch(Signal.LOGS, request.SerializeToString(), 1)) for _ in range(2))

    assert list(map(observation_id, first)) == list(map(observation_id, again))
    for log in first:
        assert observation_id(log) != observation_id({**log, "dropped": log.get("dropped", 0) + 1})


def test_windows_select() -> None:
    """A window is closed at both ends, and every condition counts."""
    (point,) = decode_points(_metrics(METRICS[1][0]))
    (log,) = decode_logs(_logs({"timeUnixNano": 5, "severityNumber": 9, "traceId": TRACE, "spanId": SPAN}))
    here = f"{TRACE}-{SPAN}"

    for window in (Window(), Window(5, 5, host="n1", pid=7, record_id=here), Window(until=5), Window(since=5)):
        assert window.matches(point)
        assert window.matches(log)
    for window in (Window(6), Window(until=4), Window(host="n2"), Window(host="n1", pid=8), Window(record_id="x")):
        assert not window.matches(point)
        assert not window.matches(log)
    assert Window(name="cpu").matches(point)
    assert not Window(name="cpu").matches(log)
    assert Window(severity=9).matches(log)
    assert not Window(severity=10).matches(log)


def test_windows_of_activities() -> None:
    """The window of an activity is its time in its process, and has no end while it runs without a sign of life."""
    plain: Any = {"started_at": 3, "ended_at": 9, "host": "n1", "pid": 7}

    assert Window.of(plain) == Window(3, 9, host="n1", pid=7)
    assert Window.of({"started_at": 3, "pid": 7}) == Window(3)


@pytest.mark.parametrize("wrong", [{"limit": 0}, {"pid": 1}], ids=repr)
def test_windows_that_cannot_be(wrong: dict[str, Any]) -> None:
    """A limit of nothing and a process without a host are refused."""
    with pytest.raises(FilterError):
        Window(**wrong)


@given(METRIC_REQUESTS)
@settings(max_examples=80)
def test_data_points_of_any_sender_go_back_to_otlp(request: Message) -> None:
    """Decoding, encoding and decoding again gives the same data points as decoding once."""
    points = decode_points(Batch(Signal.METRICS, request.SerializeToString(), 0))
    batches = list(encode_points(points))

    assert sum(batch.items for batch in batches) == len(points)
    assert _packed(point for batch in batches for point in decode_points(batch)) == _packed(points)


@given(OTHER_LOG_REQUESTS)
@settings(max_examples=80)
def test_log_records_of_any_sender_go_back_to_otlp(request: Message) -> None:
    """Decoding, encoding and decoding again gives the same log records as decoding once."""
    logs = decode_logs(Batch(Signal.LOGS, request.SerializeToString(), 0))
    batches = list(encode_logs(logs))

    assert sum(batch.items for batch in batches) == len(logs)
    assert _packed(log for batch in batches for log in decode_logs(batch)) == _packed(logs)


def test_observations_are_cut_into_requests() -> None:
    """Many data points share the header of their metric, and no request has many more than 512 of them."""
    resource: dict[str, Any] = {"host.name": "n1"}
    points: list[Any] = [
        {"name": "m", "kind": "gauge", "time": time, "value": 1, "resource": resource} for time in range(1200)
    ]
    sizes = [batch.items for batch in encode_points(points)]

    assert sum(sizes) == 1200
    assert max(sizes) < 600
    assert [batch.items for batch in encode_logs([{"time": time} for time in range(600)])] == [512, 88]


def _packed(plains: Iterable[Any]) -> list[bytes]:
    return sorted(ormsgpack.packb(plain, option=ormsgpack.OPT_SORT_KEYS) for plain in plains)
