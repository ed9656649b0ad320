"""Requests for processors: of every signal, with attributes of every kind, several resources and scopes."""

from __future__ import annotations

import json
from typing import Any

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.logs.v1.logs_pb2 import SeverityNumber
from opentelemetry.proto.metrics.v1.metrics_pb2 import AggregationTemporality
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status
from provtel_collector.attribute_lists import put, set_raw
from provtel_model.components import Signal

UNSET: tuple[Any, ...] = ({}, [], "", None, 0, "0", False)
BEGINNING = 1_700_000_000_000_000_000
ATTRIBUTES: dict[str, Any] = {
    "name": "ada",
    "card": "card 4111-1111-1111-1111 of ada",
    "count": 7,
    "ratio": 0.25,
    "tiny": 1.5e-9,
    "huge": 1.5e22,
    "whole": 3.0,
    "yes": True,
    "no": False,
    "number": "12",
    "decimal": "1.5",
    "words": "two words",
    "lines": "one\ntwo",
    "empty": "",
    "list": ["a", 1, 2.5, True, None],
    "map": {"b": "<x>", "a": [1, {"c": "\u2028"}]},
    "password.main": "secret",
    "url": "https://example.com/a?b=c",
}


def fill(attributes: Any, values: dict[str, Any]) -> None:
    """Add attributes to a list."""
    for key, value in values.items():
        set_raw(put(attributes, key), value)


def traces() -> bytes:
    """Return spans of two resources, with events."""
    request = ExportTraceServiceRequest()
    for host, spans in (("login1", ("train", "evaluate")), ("node7", ("train", "tmp.clean"))):
        group = request.resource_spans.add(schema_url="https://opentelemetry.io/schemas/1.44.0")
        fill(group.resource.attributes, {"host.name": host, "service.name": f"service of {host}", "pid": 42})
        for version, kind in (("1.0", Span.SPAN_KIND_INTERNAL), ("2.0", Span.SPAN_KIND_CLIENT)):
            part = group.scope_spans.add()
            part.scope.name, part.scope.version = "provtel", version
            fill(part.scope.attributes, {"name": "scope", "password.scope": "hidden"})
            for number, name in enumerate(spans):
                span = part.spans.add(name=name, kind=kind, trace_id=b"t" * 16, span_id=bytes([number + 1]) * 8)
                span.start_time_unix_nano = BEGINNING + number
                span.end_time_unix_nano = BEGINNING + 10 * number + 1
                span.status.code = Status.STATUS_CODE_ERROR if number else Status.STATUS_CODE_UNSET
                fill(span.attributes, ATTRIBUTES if number == 0 else {"number": "no number", "count": number, "x": "y"})
                fill(span.events.add(name="began", time_unix_nano=BEGINNING).attributes, {"name": "event", "count": 1})
                span.events.add(name=f"end of {name}", time_unix_nano=BEGINNING + 1)
    return request.SerializeToString()


def logs() -> bytes:
    """Return log records with bodies of every kind and several severities."""
    request = ExportLogsServiceRequest()
    bodies: list[Any] = ["card 4111-1111-1111-1111", "fine", 5, None, ["a", "4111-1111-1111-1111"]]
    bodies.append({"name": "ada", "card": "4111-1111-1111-1111", "password.x": "p", "deep": {"card": ["4111"], "k": 1}})
    for host in ("login1", "node7"):
        group = request.resource_logs.add()
        fill(group.resource.attributes, {"host.name": host})
        part = group.scope_logs.add()
        part.scope.name = "logger"
        for number, body in enumerate(bodies):
            record = part.log_records.add(time_unix_nano=BEGINNING + number, event_name=f"event.{number}")
            record.severity_number = SeverityNumber.ValueType(4 * number)
            record.severity_text = ("", "DEBUG", "INFO", "WARN", "ERROR", "FATAL")[number]
            set_raw(record.body, body)
            fill(record.attributes, {"index": number, "card": "4111-1111-1111-1111", "name": host})
    return request.SerializeToString()


def metrics() -> bytes:
    """Return metrics of every kind."""
    request = ExportMetricsServiceRequest()
    for host in ("login1", "node7"):
        group = request.resource_metrics.add()
        fill(group.resource.attributes, {"host.name": host})
        part = group.scope_metrics.add()
        part.scope.name = "meter"
        gauge = part.metrics.add(name="load", unit="1").gauge
        for number in range(3):
            point = gauge.data_points.add(as_int=number) if number else gauge.data_points.add(as_double=0.5)
            fill(point.attributes, {"cpu": number, "card": "4111-1111-1111-1111"})
        total = part.metrics.add(name="bytes.total", unit="By", description="all").sum
        total.is_monotonic = True
        total.aggregation_temporality = AggregationTemporality.AGGREGATION_TEMPORALITY_CUMULATIVE
        fill(total.data_points.add(as_int=9).attributes, {"cpu": 0})
        histogram = part.metrics.add(name="latency").histogram
        histogram.aggregation_temporality = AggregationTemporality.AGGREGATION_TEMPORALITY_CUMULATIVE
        fill(histogram.data_points.add(count=2, bucket_counts=[1, 1], explicit_bounds=[1.0]).attributes, {"cpu": 1})
        part.metrics.add(name="quantiles").summary.data_points.add(count=1)
    return request.SerializeToString()


REQUESTS = {Signal.TRACES: traces(), Signal.LOGS: logs(), Signal.METRICS: metrics()}


def normal(payload: bytes) -> Any:
    """Return a request in OTLP/JSON such that the order of attributes, and what is left out, makes no difference."""
    return _normal(json.loads(payload))


def _normal(value: Any) -> Any:
    if isinstance(value, dict):
        kept = {key: _normal(one) for key, one in value.items()}
        return {
            key: one
            for key, one in kept.items()
            if one not in ({}, [], "", None, 0, "0", False) or key.endswith("Value")
        }
    if isinstance(value, list):
        members = [_normal(one) for one in value]
        is_map = bool(members) and all(isinstance(one, dict) and "key" in one for one in members)
        return sorted(members, key=lambda one: one["key"]) if is_map else members
    return value
