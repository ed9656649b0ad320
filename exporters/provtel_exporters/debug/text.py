"""OTLP requests as text for a person: a line, a line for each item, or every field."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from google.protobuf.message import Message
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from provtel_model.components import Batch, Signal

if TYPE_CHECKING:
    from collections.abc import Iterator

    from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord
    from opentelemetry.proto.metrics.v1.metrics_pb2 import Metric
    from opentelemetry.proto.trace.v1.trace_pb2 import Span

_REQUESTS: Final[dict[Signal, type[Message]]] = {
    Signal.TRACES: ExportTraceServiceRequest,
    Signal.METRICS: ExportMetricsServiceRequest,
    Signal.LOGS: ExportLogsServiceRequest,
}
_ITEMS: Final = {Signal.TRACES: "spans", Signal.METRICS: "data points", Signal.LOGS: "log records"}
_INDENT: Final = "  "


def summary(batch: Batch) -> str:
    """Return one line that says how much a batch has."""
    return f"{batch.signal}: {batch.items} {_ITEMS[batch.signal]}, {len(batch.payload)} bytes"


def items(batch: Batch) -> Iterator[str]:
    """Yield a line for each span, metric or log record of a batch."""
    if batch.signal is Signal.TRACES:
        for group in ExportTraceServiceRequest.FromString(batch.payload).resource_spans:
            yield from (_span(span) for scope in group.scope_spans for span in scope.spans)
    elif batch.signal is Signal.LOGS:
        for logs in ExportLogsServiceRequest.FromString(batch.payload).resource_logs:
            yield from (_log_record(record) for scope in logs.scope_logs for record in scope.log_records)
    else:
        for metrics in ExportMetricsServiceRequest.FromString(batch.payload).resource_metrics:
            yield from (_metric(metric) for scope in metrics.scope_metrics for metric in scope.metrics)


def details(batch: Batch) -> Iterator[str]:
    """Yield every field of a batch that is set, one a line, indented by its depth."""
    yield from _fields(_REQUESTS[batch.signal].FromString(batch.payload), "")


def _span(span: Span) -> str:
    return _joined([span.name, span.trace_id.hex(), span.span_id.hex(), *_pairs(span.attributes)])


def _log_record(record: LogRecord) -> str:
    ids = [record.trace_id.hex(), record.span_id.hex()]
    body = _plain(record.body) if record.HasField("body") else ""
    return _joined([record.event_name, *ids, _shown(body) if body else "", *_pairs(record.attributes)])


def _metric(metric: Metric) -> str:
    kind = metric.WhichOneof("data")
    points = getattr(metric, kind).data_points if kind else ()
    return _joined([metric.name, metric.unit, kind or "", f"{len(points)} data points"])


def _joined(parts: list[str]) -> str:
    return " ".join(part for part in parts if part)


def _pairs(attributes: Any) -> Iterator[str]:
    return (f"{pair.key}={_shown(_plain(pair.value))}" for pair in attributes)


def _fields(message: Message, indent: str) -> Iterator[str]:
    for field, value in message.ListFields():
        several = not isinstance(value, Message | str | bytes | int | float)
        for item in value if several else [value]:
            yield from _field(field, item, indent)


def _field(field: Any, value: Any, indent: str) -> Iterator[str]:
    if isinstance(value, KeyValue):
        yield f"{indent}{field.name}: {value.key} = {_shown(_plain(value.value))}"
    elif isinstance(value, AnyValue):
        yield f"{indent}{field.name}: {_shown(_plain(value))}"
    elif isinstance(value, Message):
        yield f"{indent}{field.name}:"
        yield from _fields(value, indent + _INDENT)
    else:
        yield f"{indent}{field.name}: {_scalar(field, value)}"


def _scalar(field: Any, value: Any) -> str:
    if field.enum_type is not None:
        named = field.enum_type.values_by_number.get(value)
        return named.name if named else str(value)
    if isinstance(value, bytes):
        return value.hex()
    if field.name.endswith("_unix_nano"):
        seconds, nanoseconds = divmod(value, 10**9)
        return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M:%S}.{nanoseconds:09} UTC"
    return _shown(value)


def _plain(value: AnyValue) -> Any:
    """Return a value as JSON can show it."""
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [_plain(item) for item in value.array_value.values]
    if kind == "kvlist_value":
        return {pair.key: _plain(pair.value) for pair in value.kvlist_value.values}
    if kind == "bytes_value":
        return base64.b64encode(value.bytes_value).decode()
    return getattr(value, kind) if kind else None


def _shown(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
