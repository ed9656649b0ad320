"""Requests whose every item has an id of its own, and the ids in a request, whatever a component made of it."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, Any, Final

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from provtel_model import attributes as names
from provtel_model.components import Batch, Signal

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_SECOND: Final = 10**9
_START: Final = 1_700_000_000 * _SECOND


def request(signal: Signal, ids: Sequence[int]) -> Batch:
    """Return a request with one item for each id; ids are positive and below 2**63."""
    made = {Signal.TRACES: _traces, Signal.METRICS: _metrics, Signal.LOGS: _logs}[signal](ids)
    return Batch(signal, made.SerializeToString(), len(ids))


def ids_of(batch: Batch) -> list[int]:
    """Return the id of each item of a request that `request` made, also after components changed it."""
    read = {Signal.TRACES: _ids_of_traces, Signal.METRICS: _ids_of_metrics, Signal.LOGS: _ids_of_logs}
    return list(read[batch.signal](batch.payload))


def _traces(ids: Sequence[int]) -> ExportTraceServiceRequest:
    made = ExportTraceServiceRequest()
    resource = made.resource_spans.add()
    _name(resource.resource)
    spans = resource.scope_spans.add().spans
    for number in ids:
        spans.add(
            name="item",
            trace_id=number.to_bytes(16),
            span_id=number.to_bytes(8),
            start_time_unix_nano=_START + number,
            end_time_unix_nano=_START + number + _SECOND,
        )
    return made


def _metrics(ids: Sequence[int]) -> ExportMetricsServiceRequest:
    made = ExportMetricsServiceRequest()
    resource = made.resource_metrics.add()
    _name(resource.resource)
    metric = resource.scope_metrics.add().metrics.add(name="item")
    for number in ids:
        metric.gauge.data_points.add(time_unix_nano=_START + number, as_int=number)
    return made


def _logs(ids: Sequence[int]) -> ExportLogsServiceRequest:
    made = ExportLogsServiceRequest()
    resource = made.resource_logs.add()
    _name(resource.resource)
    records = resource.scope_logs.add().log_records
    for number in ids:
        record = records.add(time_unix_nano=_START + number, severity_number=9, span_id=number.to_bytes(8))
        record.trace_id = number.to_bytes(16)
        record.body.string_value = "item"
    return made


def _name(resource: Any) -> None:
    resource.attributes.add(key=names.SERVICE_NAME).value.string_value = "contract"


def _ids_of_traces(payload: bytes) -> Iterator[int]:
    for resource in ExportTraceServiceRequest.FromString(payload).resource_spans:
        for span in chain.from_iterable(scope.spans for scope in resource.scope_spans):
            yield int.from_bytes(span.span_id)


def _ids_of_metrics(payload: bytes) -> Iterator[int]:
    for resource in ExportMetricsServiceRequest.FromString(payload).resource_metrics:
        for metric in chain.from_iterable(scope.metrics for scope in resource.scope_metrics):
            yield from (point.as_int for point in metric.gauge.data_points)


def _ids_of_logs(payload: bytes) -> Iterator[int]:
    for resource in ExportLogsServiceRequest.FromString(payload).resource_logs:
        for record in chain.from_iterable(scope.log_records for scope in resource.scope_logs):
            yield int.from_bytes(record.span_id)
