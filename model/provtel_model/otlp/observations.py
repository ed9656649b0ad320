"""OTLP requests to data points of metrics and to log records."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, cast

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.metrics.v1.metrics_pb2 import AggregationTemporality

from provtel_model.components import Batch, Signal
from provtel_model.otlp.decode import attributes_of, is_activity_event, origin_of, parse, time_of, value_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord
    from opentelemetry.proto.metrics.v1.metrics_pb2 import Metric

    from provtel_model.record import PlainRecord
    from provtel_model.telemetry import PlainLog, PlainPoint

_TEMPORALITY: Final[dict[int | None, str]] = {
    AggregationTemporality.AGGREGATION_TEMPORALITY_DELTA: "delta",
    AggregationTemporality.AGGREGATION_TEMPORALITY_CUMULATIVE: "cumulative",
}


def decode_points(batch: Batch) -> list[PlainPoint]:
    """Return the data points of a batch; one of another signal has none.

    Raises:
        MalformedError: The bytes are no request of the batch's signal.
    """
    if batch.signal is not Signal.METRICS:
        return []
    found: list[PlainPoint] = []
    for group in parse(ExportMetricsServiceRequest, batch.payload).resource_metrics:
        for scoped in group.scope_metrics:
            origin = origin_of(group.resource, scoped.scope, scoped.schema_url)
            found += (point for metric in scoped.metrics for point in _points(metric, origin))
    return found


def decode_logs(batch: Batch) -> list[PlainLog]:
    """Return the log records of a batch that are no activity events; one of another signal has none.

    Raises:
        MalformedError: The bytes are no request of the batch's signal.
    """
    if batch.signal is not Signal.LOGS:
        return []
    found: list[PlainLog] = []
    for group in parse(ExportLogsServiceRequest, batch.payload).resource_logs:
        for scoped in group.scope_logs:
            origin = origin_of(group.resource, scoped.scope, scoped.schema_url)
            found += (_log(log, origin) for log in scoped.log_records if not is_activity_event(log))
    return found


def _points(metric: Metric, origin: PlainRecord) -> Iterator[PlainPoint]:
    kind = metric.WhichOneof("data")
    if kind is None:
        return
    data = getattr(metric, kind)
    common: dict[str, Any] = {"name": metric.name, "kind": kind}
    common |= _known(unit=metric.unit, description=metric.description)
    common |= _known(temporality=_TEMPORALITY.get(getattr(data, "aggregation_temporality", None)))
    common |= _known(monotonic=getattr(data, "is_monotonic", False))
    for point in data.data_points:
        plain = {**common, "time": time_of(point.time_unix_nano)}
        if point.start_time_unix_nano:
            plain["started_at"] = time_of(point.start_time_unix_nano)
        if kind in {"gauge", "sum"}:
            plain |= _number(point)
        else:
            plain["distribution"] = _distribution(kind, point)
        plain |= _known(attributes=attributes_of(point.attributes), flags=point.flags)
        plain |= _known(exemplars=[_exemplar(exemplar) for exemplar in getattr(point, "exemplars", ())])
        yield cast("PlainPoint", plain | origin)


def _known(**values: Any) -> dict[str, Any]:
    """Return what is not empty."""
    return {key: value for key, value in values.items() if value}


def _number(point: Any) -> dict[str, Any]:
    field = point.WhichOneof("value")
    return {} if field is None else {"value": getattr(point, field)}


def _distribution(kind: str, point: Any) -> dict[str, Any]:
    result: dict[str, Any] = {"count": point.count}
    if kind == "summary":
        quantiles = [{"quantile": each.quantile, "value": each.value} for each in point.quantile_values]
        return result | {"sum": point.sum} | _known(quantiles=quantiles)
    result |= {key: getattr(point, key) for key in ("sum", "min", "max") if point.HasField(key)}
    if kind == "histogram":
        return result | _known(bounds=[*point.explicit_bounds], counts=[*point.bucket_counts])
    result |= {"scale": point.scale, "zero_count": point.zero_count}
    result |= _known(zero_threshold=point.zero_threshold)
    for side in ("positive", "negative"):
        buckets = getattr(point, side)
        result |= _known(**{side: _known(offset=buckets.offset, counts=[*buckets.bucket_counts])})
    return result


def _exemplar(exemplar: Any) -> dict[str, Any]:
    return {
        "time": time_of(exemplar.time_unix_nano),
        **_number(exemplar),
        **_known(
            trace_id=exemplar.trace_id.hex(),
            span_id=exemplar.span_id.hex(),
            attributes=attributes_of(exemplar.filtered_attributes),
        ),
    }


def _log(log: LogRecord, origin: PlainRecord) -> PlainLog:
    plain: dict[str, Any] = {"time": time_of(log.time_unix_nano or log.observed_time_unix_nano)}
    if log.observed_time_unix_nano:
        plain["observed_at"] = time_of(log.observed_time_unix_nano)
    plain |= _known(severity=int(log.severity_number), severity_text=log.severity_text, name=log.event_name)
    if log.HasField("body"):
        plain["body"] = value_of(log.body)
    plain |= _known(trace_id=log.trace_id.hex(), span_id=log.span_id.hex(), flags=log.flags)
    plain |= _known(attributes=attributes_of(log.attributes), dropped=log.dropped_attributes_count)
    return cast("PlainLog", plain | origin)
