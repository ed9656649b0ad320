"""Receivers of OTLP in this process, and requests with everything in them that OTLP has."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from google.protobuf.message import Message
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from provtel_collector.http.serving import Limits
from provtel_collector.receivers.otlp.config import GrpcConfig, HttpConfig, OtlpConfig, ProtocolsConfig
from provtel_collector.receivers.otlp.receiver import OtlpReceiver
from provtel_model.components import Batch, Component, Consumer, Context, Signal
from provtel_model.otlp import check, from_json

REQUESTS: dict[Signal, type[Message]] = {
    Signal.TRACES: ExportTraceServiceRequest,
    Signal.METRICS: ExportMetricsServiceRequest,
    Signal.LOGS: ExportLogsServiceRequest,
}


@contextmanager
def receiving(
    consumer: Consumer,
    *,
    http: HttpConfig | None = None,
    grpc: GrpcConfig | None = None,
    limits: Limits | None = None,
    extensions: Mapping[str, Component] | None = None,
) -> Iterator[OtlpReceiver]:
    """Run a receiver of every signal for as long as the block lasts, by both protocols where none is told."""
    if http is None and grpc is None:
        http, grpc = HttpConfig("localhost:0"), GrpcConfig("localhost:0")
    context = Context("otlp", dict.fromkeys(Signal, consumer), lambda *_: None, extensions=extensions or {})
    receiver = OtlpReceiver(OtlpConfig(ProtocolsConfig(http, grpc)), context, limits)
    try:
        receiver.start()
        yield receiver
    finally:
        receiver.shutdown()


def parsed(batch: Batch) -> Message:
    """Return what a batch carries, so that two can be compared whoever serialised them."""
    return REQUESTS[batch.signal].FromString(batch.payload)


def everything(signal: Signal) -> Batch:
    """Return a request that has every field that all implementations of OTLP know."""
    content = {Signal.TRACES: _traces, Signal.METRICS: _metrics, Signal.LOGS: _logs}[signal]()
    from_text = from_json(signal, _json(content))
    return check(signal, from_text)


ATTRIBUTES = [
    {"key": "text", "value": {"stringValue": "ä€😀"}},
    {"key": "yes", "value": {"boolValue": True}},
    {"key": "large", "value": {"intValue": "9223372036854775807"}},
    {"key": "float", "value": {"doubleValue": 0.1}},
    {"key": "bytes", "value": {"bytesValue": "AP8="}},
    {"key": "list", "value": {"arrayValue": {"values": [{"stringValue": "a"}, {"intValue": "0"}]}}},
    {"key": "map", "value": {"kvlistValue": {"values": [{"key": "k", "value": {"boolValue": False}}]}}},
]
RESOURCE = {"attributes": [{"key": "service.name", "value": {"stringValue": "test"}}], "droppedAttributesCount": 1}
SCOPE = {"name": "scope", "version": "1", "attributes": ATTRIBUTES[:1]}
IDS = {"traceId": "0102030405060708090a0b0c0d0e0f10", "spanId": "0102030405060708"}
TIMES = {"startTimeUnixNano": "1700000000000000001", "timeUnixNano": "1700000000000000002"}


def _json(content: Any) -> bytes:
    return json.dumps(content).encode()


def _traces() -> dict[str, Any]:
    span = {
        **IDS,
        "parentSpanId": "1112131415161718",
        "traceState": "a=b",
        "name": "span",
        "kind": 3,
        "flags": 257,
        "startTimeUnixNano": "1700000000000000001",
        "endTimeUnixNano": "1700000000000000002",
        "attributes": ATTRIBUTES,
        "droppedAttributesCount": 2,
        "events": [{"timeUnixNano": "1700000000000000002", "name": "event", "attributes": ATTRIBUTES}],
        "links": [{**IDS, "attributes": ATTRIBUTES[:2]}],
        "status": {"code": 2, "message": "wrong"},
    }
    other = {**IDS, "name": "other", "status": {"code": 1}}
    scoped = {"scope": SCOPE, "schemaUrl": "https://example/1", "spans": [span, other]}
    return {"resourceSpans": [{"resource": RESOURCE, "scopeSpans": [scoped], "schemaUrl": "https://example/2"}]}


def _metrics() -> dict[str, Any]:
    number = {**TIMES, "attributes": ATTRIBUTES[:1], "asDouble": 1.5, "exemplars": [{**IDS, "asInt": "3"}]}
    histogram = {**TIMES, "count": "3", "sum": 2.5, "bucketCounts": ["1", "2"], "explicitBounds": [1.0], "min": 0.5}
    buckets = {"positive": {"offset": 1, "bucketCounts": ["2"]}, "negative": {"bucketCounts": ["1"]}}
    exponential = {**TIMES, "count": "3", "scale": 2, "zeroCount": "1", **buckets}
    summary = {**TIMES, "count": "2", "sum": 3.0, "quantileValues": [{"quantile": 0.5, "value": 1.0}]}
    metrics = [
        {"name": "a", "unit": "By", "description": "d", "gauge": {"dataPoints": [number]}},
        {"name": "b", "sum": {"aggregationTemporality": 2, "isMonotonic": True, "dataPoints": [number, number]}},
        {"name": "c", "histogram": {"aggregationTemporality": 1, "dataPoints": [histogram]}},
        {"name": "d", "exponentialHistogram": {"aggregationTemporality": 1, "dataPoints": [exponential]}},
        {"name": "e", "summary": {"dataPoints": [summary]}},
    ]
    return {"resourceMetrics": [{"resource": RESOURCE, "scopeMetrics": [{"scope": SCOPE, "metrics": metrics}]}]}


def _logs() -> dict[str, Any]:
    record = {
        **IDS,
        "timeUnixNano": "1700000000000000001",
        "observedTimeUnixNano": "1700000000000000002",
        "severityNumber": 9,
        "severityText": "INFO",
        "eventName": "event",
        "body": ATTRIBUTES[-1]["value"],
        "attributes": ATTRIBUTES,
        "flags": 1,
    }
    return {"resourceLogs": [{"resource": RESOURCE, "scopeLogs": [{"scope": SCOPE, "logRecords": [record, record]}]}]}


def held(receiver: OtlpReceiver, least: int, most: int) -> bool:
    """Return whether as much is held as said, now or soon."""
    assert receiver._server is not None
    deadline = time.monotonic() + 10
    while not least <= receiver._server._held <= most:
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True
