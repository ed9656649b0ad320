"""Metrics that libraries measure with OpenTelemetry's API, on their way from the SDK into the journal."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any, Final

from opentelemetry.sdk.metrics import Counter, ObservableCounter
from opentelemetry.sdk.metrics import Histogram as HistogramInstrument
from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    Gauge,
    Histogram,
    HistogramDataPoint,
    MetricExporter,
    MetricExportResult,
    Sum,
)
from ormsgpack import packb
from provtel_model.journal.layout import Kind

from provtel import notices
from provtel.otel.forms import forms_of
from provtel.recording import recorder

if TYPE_CHECKING:
    from collections.abc import Iterator

    from opentelemetry.sdk.metrics.export import DataPointT, Metric, MetricsData
    from opentelemetry.sdk.util.instrumentation import InstrumentationScope

    from provtel.snapshot import Snapshots

PREFERENCE: Final = "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE"
_POINTS: Final = Kind.POINTS.value
_DELTAS: Final[dict[str, tuple[type, ...]]] = {
    "cumulative": (),
    "delta": (Counter, ObservableCounter, HistogramInstrument),
    "lowmemory": (Counter, HistogramInstrument),
}
"""The instruments whose points count from the export before, by the values of the variable."""


class JournalMetricExporter(MetricExporter):
    """Writes data points to the journal of this process: numbers, and histograms with explicit bounds.

    Args:
        preference: Whether sums and histograms count from the beginning or from the export before, as
            ``OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE`` says; what is none of its values is said.
    """

    def __init__(self, preference: str = "") -> None:
        """Open the journal, so that what ships it ends after the provider, which exports a last time at the exit."""
        super().__init__(preferred_temporality=_temporality(preference))
        taking = recorder()
        if taking is not None:
            taking.resource()

    def export(
        self,
        metrics_data: MetricsData,
        timeout_millis: float = 10_000,  # noqa: ARG002  # the interface's
        **kwargs: Any,  # noqa: ARG002  # as above
    ) -> MetricExportResult:
        """Write them; never raises."""
        try:
            taking = recorder()
            if taking is not None:
                for payload in _frames(metrics_data, taking.snapshots):
                    taking.note(payload)
        except Exception as error:  # noqa: BLE001  # the program goes on whatever went wrong
            notices.capture_failed("a metric", error)
            return MetricExportResult.FAILURE
        return MetricExportResult.SUCCESS

    def force_flush(self, timeout_millis: float = 10_000) -> bool:
        """Let what was written reach its destination; say whether it did in time."""
        taking = recorder()
        return taking is None or taking.flush(timeout_millis / 1000)

    def shutdown(self, timeout_millis: float = 30_000, **kwargs: Any) -> None:
        """Do nothing: what was exported is in the journal."""


def _temporality(preference: str) -> dict[type, AggregationTemporality]:
    wanted = preference.strip().lower() or "cumulative"
    if wanted not in _DELTAS:
        notices.say(
            f"temporality {preference}",
            f"the variable {PREFERENCE} is {preference!r}; it is one of {', '.join(_DELTAS)}; cumulative is taken",
        )
    return dict.fromkeys(_DELTAS.get(wanted, ()), AggregationTemporality.DELTA)


def _frames(data: MetricsData, snapshots: Snapshots) -> Iterator[bytes]:
    """Yield the frames of data points: one for all that have start and time in common."""
    frames: defaultdict[tuple[int, int], list[Any]] = defaultdict(list)
    for scope, metric in _metrics(data):
        common = _common(scope, metric)
        if common is None:
            continue
        points: defaultdict[tuple[int, int], list[Any]] = defaultdict(list)
        for point in metric.data.data_points:
            attributes, _ = forms_of(snapshots, point.attributes, snapshots.max_items, None)
            points[point.time_unix_nano, point.start_time_unix_nano or 0].append((attributes, _value(point)))
        for times, some in points.items():
            frames[times].append((common, some))
    for (time, began), some in frames.items():
        yield packb([_POINTS, time, began, some])


def _metrics(data: MetricsData) -> Iterator[tuple[InstrumentationScope, Metric]]:
    for of_resource in data.resource_metrics:
        for of_scope in of_resource.scope_metrics:
            for metric in of_scope.metrics:
                yield of_scope.scope, metric


def _common(scope: InstrumentationScope, metric: Metric) -> dict[str, Any] | None:
    """Return what the data points of a metric have in common; ``None`` where the journal has no form for them."""
    kinds = {Gauge: "gauge", Sum: "sum", Histogram: "histogram"}
    kind = kinds.get(type(metric.data))
    if kind is None:
        return None
    who = {"name": scope.name, "version": scope.version, "schema_url": scope.schema_url}
    common: dict[str, Any] = {"name": metric.name, "kind": kind}
    common |= {key: text for key in ("unit", "description") if (text := getattr(metric, key))}
    common["scope"] = {key: text for key, text in who.items() if text}
    if not isinstance(metric.data, Gauge):
        is_delta = metric.data.aggregation_temporality == AggregationTemporality.DELTA
        common["temporality"] = "delta" if is_delta else "cumulative"
    if isinstance(metric.data, Sum) and metric.data.is_monotonic:
        common["monotonic"] = True
    return common


def _value(point: DataPointT) -> Any:
    if not isinstance(point, HistogramDataPoint):
        return getattr(point, "value")  # noqa: B009  # the points of exponential histograms were left out before
    known: dict[str, Any] = {"count": point.count, "sum": float(point.sum)}
    known |= {"min": float(point.min), "max": float(point.max)} if point.count else {}
    return {**known, "bounds": [*map(float, point.explicit_bounds)], "counts": [*point.bucket_counts]}
