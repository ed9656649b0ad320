"""Data points of metrics and log records to OTLP requests."""

from __future__ import annotations

from itertools import groupby, islice
from typing import TYPE_CHECKING, Any, Final, cast

from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord
from opentelemetry.proto.metrics.v1 import metrics_pb2 as wire_metrics

from provtel_model.components import Signal
from provtel_model.otlp import wire
from provtel_model.otlp.encode import Request

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from provtel_model.components import Batch
    from provtel_model.telemetry import PlainLog, PlainPoint

_MOST_POINTS: Final = 64
_KINDS: Final = {"gauge": 5, "sum": 7, "histogram": 9, "exponential_histogram": 10, "summary": 11}
_TEMPORALITIES: Final = {"delta": 1, "cumulative": 2}
_DATA_POINTS: Final = 1
_SHARED: Final = ("name", "kind", "unit", "description", "temporality", "monotonic")


def encode_points(points: Iterable[PlainPoint]) -> Iterator[Batch]:
    """Yield requests that carry data points, in their order; `decode_points` gives the same.

    A request has about 512 points and, unless a few of them are larger, at most 4 MiB. Points of one metric that follow
    each other share one header in it.
    """
    request = Request(Signal.METRICS)
    for _, same in groupby(points, _metric_of):
        while some := list(islice(same, _MOST_POINTS)):
            item = _metric(some)
            if not request.has_room(len(item)):
                yield request.batch()
                request = Request(Signal.METRICS)
            request.add(some[0], item, len(some))
    if not request.is_empty:
        yield request.batch()


def encode_logs(logs: Iterable[PlainLog]) -> Iterator[Batch]:
    """Yield requests that carry log records, in their order; `decode_logs` gives the same.

    A request has at most 512 log records and, unless a single one is larger, at most 4 MiB.
    """
    request = Request(Signal.LOGS)
    for log in logs:
        item = _log(log)
        if not request.has_room(len(item)):
            yield request.batch()
            request = Request(Signal.LOGS)
        request.add(log, item)
    if not request.is_empty:
        yield request.batch()


def _metric_of(point: PlainPoint) -> tuple[Any, ...]:
    """Return what points of one metric have in common; resource and scope must be the same maps, for 1 equals 1.0."""
    plain = cast("dict[str, Any]", point)
    return (*(plain.get(key) for key in _SHARED), id(plain.get("resource")), id(plain.get("scope")))


def _metric(points: list[PlainPoint]) -> bytes:
    """Return the content of the ``Metric`` of data points that share everything of it."""
    first = points[0]
    kind = first["kind"]
    data = wire.join(_DATA_POINTS, map(_ENCODERS[kind], points))
    if kind in {"sum", "histogram", "exponential_histogram"}:
        data += wire.number(2, _TEMPORALITIES.get(first.get("temporality", ""), 0))
        data += wire.number(3, first.get("monotonic", False)) if kind == "sum" else b""
    head = (
        wire.text(1, first["name"]) + wire.text(2, first.get("description", "")) + wire.text(3, first.get("unit", ""))
    )
    return head + wire.sized(_KINDS[kind], data)


def _number_point(point: PlainPoint) -> bytes:
    made = wire_metrics.NumberDataPoint(**_times(point), **_number(point))
    return made.SerializeToString() + wire.key_values(7, point.get("attributes", {})) + _exemplars(5, point)


def _histogram(point: PlainPoint) -> bytes:
    known = dict(point["distribution"])
    parts = {"explicit_bounds": known.pop("bounds", ()), "bucket_counts": known.pop("counts", ())}
    made = wire_metrics.HistogramDataPoint(**_times(point), **cast("Any", known), **cast("Any", parts))
    return made.SerializeToString() + wire.key_values(9, point.get("attributes", {})) + _exemplars(8, point)


def _exponential_histogram(point: PlainPoint) -> bytes:
    known = cast("dict[str, Any]", dict(point["distribution"]))
    for side in {"positive", "negative"} & known.keys():
        known[side] = wire_metrics.ExponentialHistogramDataPoint.Buckets(
            offset=known[side].get("offset", 0), bucket_counts=known[side].get("counts", ())
        )
    made = wire_metrics.ExponentialHistogramDataPoint(**_times(point), **known)
    return made.SerializeToString() + wire.key_values(1, point.get("attributes", {})) + _exemplars(11, point)


def _summary(point: PlainPoint) -> bytes:
    known = cast("dict[str, Any]", dict(point["distribution"]))
    values = [
        wire_metrics.SummaryDataPoint.ValueAtQuantile(quantile=each["quantile"], value=each["value"])
        for each in known.pop("quantiles", ())
    ]
    made = wire_metrics.SummaryDataPoint(**_times(point), **known, quantile_values=values)
    return made.SerializeToString() + wire.key_values(7, point.get("attributes", {}))


_ENCODERS: Final = {
    "gauge": _number_point,
    "sum": _number_point,
    "histogram": _histogram,
    "exponential_histogram": _exponential_histogram,
    "summary": _summary,
}


def _times(point: PlainPoint) -> dict[str, Any]:
    return {
        "start_time_unix_nano": point.get("started_at", 0),
        "time_unix_nano": point["time"],
        "flags": point.get("flags", 0),
    }


def _number(plain: Any) -> dict[str, Any]:
    """Return the value of a data point or exemplar, by the field that has its type."""
    if "value" not in plain:
        return {}
    value = plain["value"]
    return {"as_int" if isinstance(value, int) else "as_double": value}


def _exemplars(field: int, point: PlainPoint) -> bytes:
    return wire.join(field, map(_exemplar, point.get("exemplars", ())))


def _exemplar(plain: Any) -> bytes:
    made = wire_metrics.Exemplar(
        time_unix_nano=plain["time"],
        trace_id=bytes.fromhex(plain.get("trace_id", "")),
        span_id=bytes.fromhex(plain.get("span_id", "")),
        **_number(plain),
    )
    return made.SerializeToString() + wire.key_values(7, plain.get("attributes", {}))


def _log(log: PlainLog) -> bytes:
    made = LogRecord(
        time_unix_nano=log["time"],
        observed_time_unix_nano=log.get("observed_at", 0),
        severity_number=cast("Any", log.get("severity", 0)),
        severity_text=log.get("severity_text", ""),
        event_name=log.get("name", ""),
        trace_id=bytes.fromhex(log.get("trace_id", "")),
        span_id=bytes.fromhex(log.get("span_id", "")),
        dropped_attributes_count=log.get("dropped", 0),
        flags=log.get("flags", 0),
    )
    body = wire.sized(5, wire.any_value(log["body"])) if "body" in log else b""
    return made.SerializeToString() + body + wire.key_values(6, log.get("attributes", {}))
